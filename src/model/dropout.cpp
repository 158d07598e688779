#include "lriad/model/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <vector>

#include "lriad/core/random.h"
#include "lriad/kernels/operators.h"
#include "lriad/model/accumulate_dtype.h"

// Shape letters: T rows, W columns.
namespace lriad {
namespace {

constexpr uint32_t kFirst = 0x85EBCA6B, kSecond = 0xC2B2AE35, kWeyl = 0x9E3779B9;

/// Finaliser of MurmurHash3 (32 bits, public domain): each bit of the result depends on each of x.
uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * kFirst;
  x = (x ^ (x >> 13)) * kSecond;
  return x ^ (x >> 16);
}

/// The same of each number of a tensor of int64 below 2^32, in place. Products wrap at 2^64, which spares the low bits.
at::Tensor& mix_(at::Tensor& x) {
  const auto fold = [&](int64_t bits) { x.bitwise_xor_(x.bitwise_right_shift(bits)); };
  const auto multiply = [&](uint32_t factor) { x.mul_(int64_t{factor}).bitwise_and_(0xFFFFFFFF); };
  fold(16), multiply(kFirst);
  fold(13), multiply(kSecond);
  fold(16);
  return x;
}

uint32_t column_word(int64_t column) { return mix(static_cast<uint32_t>(column) * kWeyl + kWeyl); }

template <class Number>
void fill_mask(at::Tensor& mask_TW, const at::Tensor& keys_T, uint32_t layer, uint32_t limit, double kept) {
  const int64_t width = mask_TW.size(1);
  std::vector<uint32_t> columns;
  for (int64_t column = 0; column < width; ++column) columns.push_back(column_word(column));
  const auto* const keys = keys_T.const_data_ptr<int64_t>();
  auto* const numbers = mask_TW.mutable_data_ptr<Number>();
  const auto some = static_cast<Number>(kept);
  at::parallel_for(0, mask_TW.size(0), /*grain_size=*/64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint32_t word = mix(static_cast<uint32_t>(keys[row]) ^ layer);
      Number* const out = numbers + row * width;
      const uint32_t* const in = columns.data();
      for (int64_t column = 0; column < width; ++column)
        out[column] = mix(word ^ in[column]) < limit ? some : Number{0};
    }
  });
}

/// For devices whose memory the host cannot write.
at::Tensor mask_by_operators(const at::Tensor& keys_T, int64_t width, uint32_t layer, uint32_t limit, double kept,
                             at::ScalarType dtype) {
  at::Tensor words_T1 = keys_T.bitwise_xor(int64_t{layer}).unsqueeze(1);
  at::Tensor columns_W = at::arange(1, width + 1, keys_T.options()).mul_(int64_t{kWeyl}).bitwise_and_(0xFFFFFFFF);
  at::Tensor words_TW = mix_(words_T1).bitwise_xor(mix_(columns_W));
  return (mix_(words_TW) < int64_t{limit}).to(dtype).mul_(kept);
}

}  // namespace

int64_t dropout_key(uint64_t seed, int64_t row) {
  return CounterRandom(seed, RandomUse::kDropout).words(static_cast<uint32_t>(row))[0];
}

DropoutHash dropout_hash(uint64_t stream, double keep) {
  return {mix(static_cast<uint32_t>(stream) * kWeyl), static_cast<uint32_t>(std::llround(keep * 0x1p32) - 1)};
}

at::Tensor dropout_mask(const at::Tensor& keys_T, uint64_t stream, int64_t width, double keep, at::ScalarType dtype) {
  const auto [layer, limit] = dropout_hash(stream, keep);
  if (!keys_T.device().is_cpu()) return mask_by_operators(keys_T, width, layer, limit, 1 / keep, dtype);
  at::Tensor mask_TW = at::empty({keys_T.size(0), width}, keys_T.options().dtype(dtype));
  AT_DISPATCH_FLOATING_TYPES(dtype, "dropout_mask",
                             [&] { fill_mask<scalar_t>(mask_TW, keys_T, layer, limit, 1 / keep); });
  return mask_TW;
}

at::Tensor drop_out(const at::Tensor& x_TW, const at::Tensor& keys_T, uint64_t stream, double keep,
                    at::ScalarType dtype) {
  if (!operators::serve(x_TW.device()) || x_TW.size(1) % 8 != 0) {
    const at::ScalarType wide = accumulate_dtype(dtype);
    return (x_TW.to(wide) * dropout_mask(keys_T, stream, x_TW.size(1), keep, wide)).to(dtype);
  }
  const at::Tensor result_TW = at::empty(x_TW.sizes(), x_TW.options().dtype(dtype));
  const DropoutHash hash = dropout_hash(stream, keep);
  operators::drop_out(x_TW.contiguous(), keys_T, hash.layer, hash.limit, 1 / keep, result_TW);
  return result_TW;
}

}  // namespace lriad
