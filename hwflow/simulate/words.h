// Values of nets as 32-bit words, least significant first, and files of such words.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "verilated.h"

namespace {

using Words = std::vector<uint32_t>;

template <typename T>
void to_words(const T &value, uint32_t *out, unsigned n) {
  uint64_t v = value;
  for (unsigned i = 0; i < n; i++, v >>= 32) out[i] = static_cast<uint32_t>(v);
}
template <std::size_t N>
void to_words(const VlWide<N> &value, uint32_t *out, unsigned n) {
  for (unsigned i = 0; i < n; i++) out[i] = value[i];
}
template <typename T>
void from_words(T &value, const uint32_t *in, unsigned n) {
  uint64_t v = in[0];
  if (n > 1) v |= static_cast<uint64_t>(in[1]) << 32;
  value = static_cast<T>(v);
}
template <std::size_t N>
void from_words(VlWide<N> &value, const uint32_t *in, unsigned n) {
  for (unsigned i = 0; i < n; i++) value[i] = in[i];
}

Words read_words(const std::string &path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) { std::fprintf(stderr, "can't read %s\n", path.c_str()); std::exit(3); }
  Words words(file.tellg() / sizeof(uint32_t));
  file.seekg(0);
  file.read(reinterpret_cast<char *>(words.data()), words.size() * sizeof(uint32_t));
  return words;
}

}  // namespace
