// Drives a generated accelerator: streams frames in and out with random stalls, watches every
// stream, and writes what it saw. `streams.h`, generated beside it, names the nets.
//
// argv[1] is a file of `key value` lines:
//   input FILE      packed input beats           output FILE   packed output beats, written
//   report FILE     JSON, written                frames N      frames to run
//   source P        chance in % that the input pauses after a beat
//   sink P          chance in % that the output is not ready in a cycle
//   ahead N         beats of a further frame that may come out without its input
//   seed S          interval N  cycles a frame at which the input is offered (0: at once)
//   patience N      cycles without any transfer that count as a deadlock
//   depth K N       of FIFO K, of a program with gauges in place of FIFOs
//   capture K FILE  record stream K              trace FILE FIRST COUNT
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "verilated.h"
#include "words.h"
#ifdef HWFLOW_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

struct Stream {
  const char *name;
  unsigned words, beats;
  uint64_t transfers = 0, stalled = 0, starved = 0;
  bool waiting = false;  // valid, but not ready, in the last cycle
  bool valid = false, ready = false;
  Words data, held;
  FILE *capture = nullptr;
};

struct Fifo {
  const char *name;
  uint32_t count = 0, high = 0;
  uint32_t depth = UINT32_MAX;
};

#include "streams.h"

[[noreturn]] void fail(const char *kind, const std::string &stream, uint64_t cycle) {
  std::printf("HWFLOW %s %s %llu\n", kind, stream.c_str(), (unsigned long long)cycle);
  for (auto &s : streams)
    std::printf("STREAM %s %d %d %llu\n", s.name, s.valid, s.ready, (unsigned long long)s.transfers);
  for (auto &f : fifos) std::printf("FIFO %s %u\n", f.name, f.count);
  std::exit(4);
}

}  // namespace

int main(int argc, char **argv) {
  std::string input, output, report, trace;
  uint64_t frames = 0, ahead = 0, interval = 0, patience = 100000, trace_first = 0, trace_count = 0;
  unsigned source = 0, sink = 0, seed = 0;
  std::ifstream config(argv[1]);
  for (std::string line; std::getline(config, line);) {
    std::istringstream in(line);
    std::string key;
    in >> key;
    if (key == "input") in >> input;
    else if (key == "output") in >> output;
    else if (key == "report") in >> report;
    else if (key == "frames") in >> frames;
    else if (key == "ahead") in >> ahead;
    else if (key == "interval") in >> interval;
    else if (key == "patience") in >> patience;
    else if (key == "source") in >> source;
    else if (key == "sink") in >> sink;
    else if (key == "seed") in >> seed;
    else if (key == "trace") in >> trace >> trace_first >> trace_count;
    else if (key == "depth") {
      unsigned index;
      in >> index;
      in >> fifos[index].depth;
    }
    else if (key == "capture") {
      unsigned index;
      std::string path;
      in >> index >> path;
      streams[index].capture = std::fopen(path.c_str(), "wb");
    }
  }

  auto context = std::make_unique<VerilatedContext>();
  // Whatever the RTL leaves undefined is random: nothing that counts may depend on it.
  context->randReset(2);
  context->randSeed(static_cast<int>(seed + 1));
  auto top = std::make_unique<Vtop>(context.get());
#ifdef HWFLOW_TRACE
  context->traceEverOn(true);
  VerilatedVcdC tracer;
  if (!trace.empty()) { top->trace(&tracer, 99); tracer.open(trace.c_str()); }
#endif

  const std::vector<uint32_t> beats = read_words(input);
  Stream &in = streams.front(), &out = streams.back();
  for (auto &s : streams) { s.data.assign(s.words, 0); s.held.assign(s.words, 0); }
  FILE *out_file = std::fopen(output.c_str(), "wb");
  std::vector<uint64_t> finished;  // cycle in which each output frame was complete
  std::mt19937_64 random(seed);
  auto chance = [&](unsigned percent) { return percent && random() % 100 < percent; };

  uint64_t cycle = 0, quiet = 0, sent = 0, first_beat = 0;
  const uint64_t total = frames * in.beats, wanted = frames * out.beats;
  bool offered = false;

  auto tick = [&]() {
    top->ap_clk = 1;
    top->eval();
#ifdef HWFLOW_TRACE
    const bool window = !trace.empty() && cycle >= trace_first && cycle < trace_first + trace_count;
    if (window) tracer.dump(cycle * 10);
#endif
    top->ap_clk = 0;
    top->eval();
#ifdef HWFLOW_TRACE
    if (window) tracer.dump(cycle * 10 + 5);
#endif
  };

  top->s_axis_tvalid = 0;
  top->m_axis_tready = 0;
  top->ap_rst_n = 0;
  top->ap_clk = 0;
  top->eval();
  for (int i = 0; i < 10; i++) tick();
#ifdef HWFLOW_GAUGE
  set_depths(*top->rootp);
#endif
  top->ap_rst_n = 1;

  uint64_t drain = 0;
  const uint64_t drain_cycles = 64;
  while (drain < drain_cycles) {
    if (!offered && sent < total && !chance(source)) {
      const uint64_t frame = sent / in.beats, beat = sent % in.beats;
      if (cycle >= frame * interval + beat * interval / in.beats) {
        from_words(top->s_axis_tdata, &beats[sent * in.words], in.words);
        offered = true;
      }
    }
    top->s_axis_tvalid = offered;
    top->m_axis_tready = !chance(sink);
    top->eval();

    sample(*top->rootp);
    bool moved = false;
    for (auto &s : streams) {
      if (s.waiting && (!s.valid || s.data != s.held)) fail("PROTOCOL", s.name, cycle);
      s.waiting = s.valid && !s.ready;
      if (s.waiting) { s.stalled++; s.held = s.data; }
      else if (s.valid) {
        s.transfers++;
        moved = true;
        if (s.capture) std::fwrite(s.data.data(), 4, s.words, s.capture);
      }
      else if (s.ready) s.starved++;
    }
    if (in.valid && in.ready) {
      if (sent == 0) first_beat = cycle;
      sent++;
      offered = false;
    }
    if (out.valid && out.ready) {
      if (out.transfers > wanted + ahead) fail("EXCESS", out.name, cycle);
      if (out.transfers <= wanted) std::fwrite(out.data.data(), 4, out.words, out_file);
      if (out.transfers <= wanted && out.transfers % out.beats == 0) finished.push_back(cycle);
    }
    quiet = moved ? 0 : quiet + 1;
    // What comes out last may not need what goes in last: nothing may move for the whole of it.
    if (out.transfers >= wanted && sent == total) drain = moved ? 0 : drain + 1;
    else if (quiet > patience) fail("DEADLOCK", "-", cycle);
    tick();
    cycle++;
  }

  for (auto &s : streams) if (s.capture) std::fclose(s.capture);
  std::fclose(out_file);
  FILE *json = std::fopen(report.c_str(), "w");
  std::fprintf(json, "{\"cycles\": %llu, \"first_beat\": %llu, \"finished\": [",
               (unsigned long long)(finished.empty() ? 0 : finished.back()),
               (unsigned long long)first_beat);
  for (size_t i = 0; i < finished.size(); i++)
    std::fprintf(json, "%s%llu", i ? "," : "", (unsigned long long)finished[i]);
  std::fprintf(json, "], \"streams\": {");
  for (size_t i = 0; i < streams.size(); i++)
    std::fprintf(json, "%s\"%s\": [%llu, %llu, %llu]", i ? ", " : "", streams[i].name,
                 (unsigned long long)streams[i].transfers, (unsigned long long)streams[i].stalled,
                 (unsigned long long)streams[i].starved);
  std::fprintf(json, "}, \"fifos\": {");
  for (size_t i = 0; i < fifos.size(); i++)
    std::fprintf(json, "%s\"%s\": %u", i ? ", " : "", fifos[i].name, fifos[i].high);
  std::fprintf(json, "}}\n");
  std::fclose(json);
#ifdef HWFLOW_TRACE
  if (!trace.empty()) tracer.close();
#endif
  top->final();
  return 0;
}
