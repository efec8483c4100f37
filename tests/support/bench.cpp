// Drives many layers at once, each with streams of its own: random stalls, the stream rule
// checked on every output. `streams.h`, generated beside it, names the layers and their ports.
//
// argv[1] is a file of `key value` lines:
//   folder DIR   packed beats of each input are in DIR/<port>; those of outputs are written there,
//                and DIR/<layer>.cycles gets the cycle in which each frame was complete
//   frames N     frames to run
//   source P     chance in % that an input pauses in a cycle
//   sink P       chance in % that an output is not ready in a cycle
//   shy 0|1      whether outputs become ready only when there is data
//   seed S       patience N   cycles without any transfer that count as a deadlock
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"
#include "words.h"

namespace {

struct Port {
  const char *name;
  unsigned words, beats, ahead;
  uint64_t transfers = 0, wanted = 0;
  bool valid = false, ready = false, waiting = false;
  Words data, held, file;
};

struct Layer {
  const char *name;
  std::vector<Port> inputs, outputs;
  std::vector<uint64_t> finished = {};
  uint64_t quiet = 0, drain = 0;
};

#include "streams.h"

template <typename T>
void write_all(const std::string &path, const std::vector<T> &values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

[[noreturn]] void fail(const char *kind, const char *port, uint64_t cycle) {
  std::printf("BENCH %s %s %llu\n", kind, port, (unsigned long long)cycle);
  std::exit(4);
}

}  // namespace

int main(int, char **argv) {
  std::string folder;
  uint64_t frames = 0, patience = 0;
  unsigned source = 0, sink = 0, seed = 0, shy = 0;
  std::ifstream config(argv[1]);
  for (std::string line; std::getline(config, line);) {
    std::istringstream in(line);
    std::string key;
    in >> key;
    if (key == "folder") in >> folder;
    else if (key == "frames") in >> frames;
    else if (key == "source") in >> source;
    else if (key == "sink") in >> sink;
    else if (key == "shy") in >> shy;
    else if (key == "seed") in >> seed;
    else if (key == "patience") in >> patience;
  }

  auto context = std::make_unique<VerilatedContext>();
  // Whatever the RTL leaves undefined is random: nothing that counts may depend on it.
  context->randReset(2);
  context->randSeed(static_cast<int>(seed + 1));
  auto top = std::make_unique<Vtop>(context.get());
  std::mt19937_64 random(seed);
  auto chance = [&](unsigned percent) { return percent && random() % 100 < percent; };
  auto tick = [&]() {
    top->ap_clk = 1;
    top->eval();
    top->ap_clk = 0;
    top->eval();
  };
  for (auto &layer : layers) {
    for (auto &port : layer.inputs) {
      port.file = read_words(folder + "/" + port.name);
      port.wanted = frames * port.beats;
      port.data.assign(port.words, 0);
    }
    for (auto &port : layer.outputs) {
      port.wanted = frames * port.beats;
      port.data.assign(port.words, 0);
    }
  }

  // A reset, data until somewhere inside a frame, and a reset that must forget them.
  auto reset = [&]() {
    for (auto &layer : layers) for (auto &port : layer.inputs) port.valid = false;
    for (auto &layer : layers) for (auto &port : layer.outputs) port.ready = false;
    drive(*top);
    top->ap_rst_n = 0;
    for (int i = 0; i < 10; i++) tick();
    top->ap_rst_n = 1;
  };
  top->ap_clk = 0;
  reset();
  for (uint64_t cycle = 0, cycles = 20 + random() % 40; cycle < cycles; cycle++) {
    for (auto &layer : layers) {
      for (auto &port : layer.inputs) {
        if (!port.valid || port.ready)
          std::copy_n(port.file.begin() + random() % frames * port.words, port.words,
                      port.data.begin());
        port.valid = port.valid ? !port.ready || random() % 2 : random() % 2;
      }
      for (auto &port : layer.outputs) port.ready = random() % 2;
    }
    drive(*top);
    top->eval();
    sample(*top);
    tick();
  }
  reset();

  std::size_t running = layers.size();
  for (uint64_t cycle = 0; running; cycle++) {
    for (auto &layer : layers) {
      for (auto &port : layer.inputs)
        if (!port.valid && port.transfers < port.wanted && !chance(source)) {
          std::copy_n(port.file.begin() + port.transfers * port.words, port.words,
                      port.data.begin());
          port.valid = true;
        }
      for (auto &port : layer.outputs) port.ready = !shy && !chance(sink);
    }
    drive(*top);
    top->eval();
    sample(*top);
    if (shy) {
      for (auto &layer : layers)
        for (auto &port : layer.outputs) port.ready = port.valid && !chance(sink);
      drive(*top);
      top->eval();
      sample(*top);
    }
    for (auto &layer : layers) {
      layer.quiet++;
      for (auto &port : layer.outputs) {
        if (port.waiting && (!port.valid || port.data != port.held))
          fail("WITHDRAWN", port.name, cycle);
        port.waiting = port.valid && !port.ready;
        if (port.waiting) port.held = port.data;
        if (!port.valid || !port.ready) continue;
        if (port.transfers++ == port.wanted + port.ahead) fail("EXCESS", port.name, cycle);
        port.file.insert(port.file.end(), port.data.begin(), port.data.end());
        layer.quiet = 0;
      }
      for (auto &port : layer.inputs)
        if (port.valid && port.ready) {
          port.transfers++;
          port.valid = false;
          layer.quiet = 0;
        }
      uint64_t complete = frames;
      for (auto &port : layer.outputs) complete = std::min(complete, port.transfers / port.beats);
      while (layer.finished.size() < complete) layer.finished.push_back(cycle);
      bool done = complete == frames;
      for (auto &port : layer.inputs) done = done && port.transfers == port.wanted;
      // Watched for a while longer: nothing more may come out.
      if (done) running -= ++layer.drain == 64;
      else if (layer.quiet > patience) fail("DEADLOCK", layer.name, cycle);
    }
    tick();
  }

  for (auto &layer : layers) {
    for (auto &port : layer.outputs) write_all(folder + "/" + port.name, port.file);
    write_all(folder + "/" + layer.name + ".cycles", layer.finished);
  }
  top->final();
  return 0;
}
