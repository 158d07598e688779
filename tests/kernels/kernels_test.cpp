// Compares each kernel with libtorch's operators: compiled for the host in kernels_test, in both orders in which its
// threads can take turns, and on a GPU in kernels_gpu_test.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lriad/generation/sampler.h"
#include "lriad/kernels/operators.h"
#include "lriad/model/accumulate_dtype.h"
#include "lriad/model/dropout.h"
#ifdef LRIAD_EMULATED
#include "kernels/cuda/launch.h"
#else
#include "lriad/dist/gpus.h"
#endif

namespace lriad {
namespace {

using Optional = operators::Optional;

struct Case {
  at::ScalarType dtype;
  bool reverse;  ///< whether warps and lanes take turns in reverse order
};

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  return std::string(c10::toString(info.param.dtype)) + (info.param.reverse ? "Reverse" : "Forward");
}

class Kernels : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
#ifdef LRIAD_EMULATED
    emulation::order = GetParam().reverse ? emulation::Order::kReverse : emulation::Order::kForward;
#else
    if (num_gpus() == 0) GTEST_SKIP() << "no GPU";
    device_ = at::Device(at::kCUDA, 0);
#endif
    generator_ = at::make_generator<at::CPUGeneratorImpl>(7);
  }
#ifdef LRIAD_EMULATED
  void TearDown() override { emulation::order = emulation::Order::kForward; }
#endif

  at::ScalarType dtype() const { return GetParam().dtype; }
  at::ScalarType wide() const { return accumulate_dtype(dtype()); }
  at::Tensor normal(at::IntArrayRef sizes) { return at::empty(sizes, at::kDouble).normal_(0, 1, generator_); }
  /// Normal numbers in the dtype.
  at::Tensor numbers(at::IntArrayRef sizes) { return normal(sizes).to(dtype()); }
  at::Tensor there(const at::Tensor& x) const { return x.to(device_); }
  at::Tensor empty(at::IntArrayRef sizes, at::ScalarType type) const {
    return at::full(sizes, NAN, at::TensorOptions().dtype(type).device(device_));
  }
  at::Tensor empty(at::IntArrayRef sizes) const { return empty(sizes, dtype()); }

  /// Equal but for the last bits of the dtype; of bfloat16 a small share of the numbers may differ by one rounding.
  void expect_near(const at::Tensor& device, const at::Tensor& want, const char* what) const {
    const at::Tensor got = device.cpu().to(at::kDouble), wanted = want.to(at::kDouble);
    ASSERT_EQ(got.sizes(), wanted.sizes()) << what;
    const bool coarse = device.scalar_type() == at::kBFloat16;
    const double relative = coarse ? 0x1p-7 : wide() == at::kDouble ? 1e-12 : 5e-6;
    const at::Tensor gap = (got - wanted).abs(), allowed = relative * (wanted.abs() + 0.1);
    EXPECT_TRUE((gap <= allowed).all().item<bool>()) << what << ": off by " << gap.max().item<double>();
    EXPECT_LE((gap > 0).to(at::kDouble).mean().item<double>(), coarse ? 0.05 : 1) << what;
  }

  at::Device device_ = at::kCPU;
  at::Generator generator_;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
    all.push_back({dtype, false});
#ifdef LRIAD_EMULATED
    all.push_back({dtype, true});
#endif
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Dtypes, Kernels, ::testing::ValuesIn(cases()), name_of);

at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(accumulate_dtype(x.scalar_type()));
  return weight * (wide * at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps)).to(x.scalar_type());
}

TEST_P(Kernels, NormWithResidualAndLowRankProjection) {
  for (const int64_t size : {8, 40, 3584}) {
    const at::Tensor x = numbers({3, size}), added = numbers({3, size}), weight = numbers({size});
    const at::Tensor lora_a = normal({5, size}).to(wide());
    const at::Tensor sum = there(x).clone(), result = empty({3, size}), scale = empty({3, 1}, wide());
    const at::Tensor middle = empty({3, 5}, wide());
    operators::norm_rows(sum, there(added), there(weight), 1e-6, result, sum, scale, there(lora_a), middle);
    const at::Tensor want_sum = x + added;
    expect_near(sum, want_sum, "sum");
    expect_near(result, plain_norm(want_sum, weight, 1e-6), "result");
    const at::Tensor got = result.cpu().to(wide());
    EXPECT_LE((middle.cpu() - got.mm(lora_a.t())).abs().max().item<double>(), 1e-4);
    const at::Tensor wide_sum = want_sum.to(wide());
    expect_near(scale, at::rsqrt(wide_sum.square().mean(-1, true) + 1e-6), "scale");
    const at::Tensor alone = empty({3, size});
    operators::norm_rows(there(x), {}, there(weight), 1e-6, alone, {}, {}, {}, {});
    expect_near(alone, plain_norm(x, weight, 1e-6), "without a residual");
  }
}

TEST_P(Kernels, NormBackward) {
  for (const int64_t size : {8, 48, 1536}) {
    const at::Tensor x = numbers({4, size}), weight = numbers({size}), gradient = numbers({4, size});
    const at::Tensor scale = at::rsqrt(x.to(wide()).square().mean(-1, true) + 1e-6), x_gradient = empty({4, size});
    operators::norm_rows_backward(there(gradient), there(x), there(weight), there(scale), x_gradient);
    const at::Tensor inner = (gradient * weight).to(at::kDouble), exact = x.to(at::kDouble);
    const at::Tensor s = scale.to(at::kDouble), along = (inner * exact).mean(-1, true);
    expect_near(x_gradient, (inner * s - exact * (s.pow(3) * along)).to(dtype()), "gradient");
  }
}

struct HeadShape {
  int64_t heads, key_heads, size;
};

TEST_P(Kernels, FinishedProjections) {
  const int64_t B = 3, N = 4;
  for (const auto& [H, K, D] : {HeadShape{4, 2, 8}, HeadShape{6, 1, 128}, HeadShape{2, 2, 24}}) {
    for (const bool with_norm : {false, true}) {
      const std::array<int64_t, 3> ranks =
          with_norm ? std::array<int64_t, 3>{0, 0, 0} : std::array<int64_t, 3>{3, 0, 2};
      const int64_t columns = (H + 2 * K) * D;
      const at::Tensor projected = numbers({B, columns}), num_sampled = at::tensor({1, 3, 4}, at::kInt);
      const at::Tensor middle = normal({B, 5}).to(wide()), b_q = normal({H * D, 3}).to(wide());
      const at::Tensor b_v = normal({K * D, 2}).to(wide()), q_norm = numbers({D}), k_norm = numbers({D});
      const at::Tensor half = normal({N, B, D / 2}), angles = at::cat({half, half}, -1);
      const at::Tensor cosines = angles.cos().to(dtype()), sines = angles.sin().to(dtype());
      const at::Tensor queries = empty({B, H, D}), keys = empty({B, K, N, D}), values = empty({B, K, N, D});
      const auto given = [&](const at::Tensor& x, bool on) { return on ? Optional(there(x)) : Optional(); };
      operators::finish_projections(there(projected), given(middle, !with_norm),
                                    given(at::cat({b_q.flatten(), b_v.flatten()}), !with_norm), ranks,
                                    given(q_norm, with_norm), given(k_norm, with_norm), 1e-6, there(cosines),
                                    there(sines), there(num_sampled), queries, keys, values);
      // The same by plain operators.
      at::Tensor q = projected.slice(1, 0, H * D), k = projected.slice(1, H * D, (H + K) * D);
      at::Tensor v = projected.slice(1, (H + K) * D);
      if (!with_norm) {
        q = (q + middle.slice(1, 0, 3).mm(b_q.t())).to(dtype());
        v = (v + middle.slice(1, 3).mm(b_v.t())).to(dtype());
      }
      q = q.reshape({B, H, D}), k = k.reshape({B, K, D}), v = v.reshape({B, K, D});
      if (with_norm) q = plain_norm(q, q_norm, 1e-6), k = plain_norm(k, k_norm, 1e-6);
      const at::Tensor row = at::arange(B), token_index = num_sampled.to(at::kLong) - 1;
      const at::Tensor cos = cosines.index({token_index, row}).unsqueeze(1),
                       sin = sines.index({token_index, row}).unsqueeze(1);
      const auto turned = [&](const at::Tensor& x) {
        return x * cos + at::cat({-x.slice(-1, D / 2), x.slice(-1, 0, D / 2)}, -1) * sin;
      };
      expect_near(queries, turned(q), "queries");
      const auto newest = [&](const at::Tensor& cache) {
        return cache.cpu().transpose(1, 2).index({row, token_index});
      };
      expect_near(newest(keys), turned(k), "keys");
      expect_near(newest(values), v, "values");
      EXPECT_EQ((~at::isnan(keys.cpu())).sum().item<int64_t>(), B * K * D) << "other tokens of the cache were written";
    }
  }
}

TEST_P(Kernels, AttentionOverASharedPromptAndOwnKeys) {
  const int64_t J = 2, G = 3, B = J * G, N = 9, P = 37;
  const at::Tensor lengths = at::tensor({37, 21}, at::kInt), num_sampled = at::tensor({1, 9, 4, 2, 3, 1}, at::kInt);
  for (const auto& [H, K, D] : {HeadShape{4, 2, 8}, HeadShape{7, 1, 128}, HeadShape{8, 1, 40}}) {
    for (const int64_t splits : D == 8 ? std::vector<int64_t>{1, 3, 45} : std::vector<int64_t>{2}) {
      const at::Tensor queries = numbers({B, H, D}), prompt_keys = numbers({J, K, P, D});
      const at::Tensor prompt_values = numbers({J, K, P, D}), keys = numbers({B, K, N, D}),
                       values = numbers({B, K, N, D});
      const at::Tensor partial = empty({B, K, splits, H / K, D + 2}, wide()), result = empty({B, H, D});
      const at::Tensor tickets = there(at::zeros({B, K}, at::kInt));
      for (int again = 0; again < 2; ++again) {
        operators::cached_attention(there(queries), there(prompt_keys), there(prompt_values), there(keys),
                                    there(values), there(lengths), there(num_sampled), partial, tickets, result);
      }
      EXPECT_EQ(tickets.cpu().abs().sum().item<int64_t>(), 0);
      std::vector<at::Tensor> rows;
      for (int64_t b = 0; b < B; ++b) {
        const int64_t j = b / G, length = lengths[j].item<int>(), own_keys = num_sampled[b].item<int>();
        const auto seen = [&](const at::Tensor& prompt, const at::Tensor& own) {
          return at::cat({prompt[j].slice(1, 0, length), own[b].slice(1, 0, own_keys)}, 1)
              .to(at::kDouble)
              .repeat_interleave(H / K, 0);
        };
        const at::Tensor q = queries[b].to(at::kDouble).unsqueeze(1) / std::sqrt(static_cast<double>(D));
        const at::Tensor weights = at::softmax(q.matmul(seen(prompt_keys, keys).transpose(1, 2)), -1);
        rows.push_back(weights.matmul(seen(prompt_values, values)).squeeze(1));
      }
      expect_near(result, at::stack(rows).to(dtype()), "attention");
    }
  }
}

TEST_P(Kernels, SiluTimesUpAndItsGradient) {
  const at::Tensor both = numbers({5, 2 * 24}), gradient = numbers({5, 24}), on_device = there(both);
  const auto halves = on_device.chunk(2, 1);
  const at::Tensor gate = both.chunk(2, 1)[0].contiguous(), up = both.chunk(2, 1)[1].contiguous();
  const at::Tensor result = empty({5, 24}), gate_gradient = empty({5, 24}), up_gradient = empty({5, 24});
  operators::silu_times(halves[0], halves[1], result);
  expect_near(result, at::silu(gate) * up, "result");
  operators::silu_times_backward(there(gradient), there(gate), there(up), gate_gradient, up_gradient);
  expect_near(gate_gradient, at::silu_backward(gradient * up, gate), "gradient of the gate");
  expect_near(up_gradient, at::silu(gate) * gradient, "gradient of what it lets through");
}

TEST_P(Kernels, RotationAndItsGradient) {
  const int64_t T = 5, H = 3, D = 24;
  const at::Tensor x = numbers({T, H, D}), half = normal({T, D / 2}), angles = at::cat({half, half}, -1);
  const at::Tensor cosines = angles.cos().to(dtype()), sines = angles.sin().to(dtype());
  for (const bool back : {false, true}) {
    const at::Tensor result = empty({T, H, D});
    operators::rotate(there(x), there(cosines), there(sines), back, result);
    const at::Tensor turned = at::cat({-x.slice(-1, D / 2), x.slice(-1, 0, D / 2)}, -1);
    const at::Tensor sine = (back ? -sines : sines).unsqueeze(1);
    expect_near(result, x * cosines.unsqueeze(1) + turned * sine, back ? "back" : "forth");
  }
}

/// What sample() works on: B rows, N tokens.
struct SampledRows {
  at::Tensor ids, next_ids, trace, num_sampled, ended, num_ended;
  SampledRows(int64_t rows, int64_t count, const at::Device& device) {
    const auto zeros = [&](at::IntArrayRef sizes, at::ScalarType type) {
      return at::zeros(sizes, at::TensorOptions().dtype(type).device(device));
    };
    ids = zeros({rows, count}, at::kLong), next_ids = zeros({rows}, at::kLong);
    trace = zeros({rows, count, 5}, at::kDouble);
    num_sampled = zeros({rows}, at::kInt), ended = zeros({rows}, at::kInt), num_ended = zeros({1}, at::kInt);
  }
};

TEST_P(Kernels, SamplingIsThatOfTheSampler) {
  const int64_t B = 4, N = 3;
  for (const int64_t vocabulary : {48, 1000, 20011}) {
    for (const double temperature : {1.0, 0.7, 0.0}) {
      const SamplerSettings settings{temperature, 0, 1, 0, {0, 7, vocabulary - 1}};
      const Sampler sampler(settings, vocabulary, at::kCPU);
      const at::Tensor uniforms = at::rand({N, B}, generator_, at::kDouble), ends = at::arange(vocabulary / 2);
      SampledRows rows(B, N, device_);
      for (int64_t n = 0; n < N; ++n) {
        const at::Tensor logits = (normal({B, vocabulary}) * 3).to(dtype());
        operators::sample(there(logits), there(uniforms), there(sampler.banned()), there(ends), {5, 6}, temperature,
                          rows.ids, rows.next_ids, rows.trace, rows.num_sampled, rows.ended, rows.num_ended);
        const at::Tensor scores = sampler.scores(logits), ids = sampler.sample(scores, uniforms[n]);
        EXPECT_TRUE(at::equal(rows.next_ids.cpu(), ids));
        EXPECT_TRUE(at::equal(rows.ids.cpu().select(1, n), ids));
        const at::Tensor raw = logits.to(at::kDouble), trace = rows.trace.cpu().select(1, n), id = ids.unsqueeze(1);
        const at::Tensor log_sum = raw.logsumexp(1);
        const double tolerance = dtype() == at::kDouble ? 1e-12 : 4e-6;
        const auto off = [&](int64_t field, const at::Tensor& want) {
          return (trace.select(1, field) - want).abs().max().item<double>();
        };
        const at::Tensor score = scores.to(at::kDouble).gather(1, id).squeeze(1);
        EXPECT_LE(off(0, score - scores.to(at::kDouble).logsumexp(1)), tolerance);
        EXPECT_LE(off(1, raw.gather(1, id).squeeze(1) - log_sum), tolerance);
        EXPECT_EQ(off(2, raw.select(1, 5)), 0);
        EXPECT_EQ(off(3, raw.select(1, 6)), 0);
        EXPECT_LE(off(4, log_sum), tolerance);
      }
      const at::Tensor ended = (rows.ids.cpu() < vocabulary / 2).any(1);
      EXPECT_TRUE(at::equal(rows.ended.cpu().to(at::kBool), ended));
      EXPECT_EQ(rows.num_ended.cpu().item<int>(), ended.sum().item<int64_t>());
      EXPECT_TRUE((rows.num_sampled.cpu() == N).all().item<bool>());
    }
  }
}

TEST_P(Kernels, SamplingReachesTheFirstAndTheLastToken) {
  const at::Tensor logits = at::zeros({2, 1000}, dtype()), none = at::empty({0}, at::kLong);
  SampledRows rows(2, 1, device_);
  operators::sample(there(logits), there(at::tensor({0.0, 1 - 0x1p-53}, at::kDouble).view({1, 2})), there(none),
                    there(none), {5, 6}, 1, rows.ids, rows.next_ids, rows.trace, rows.num_sampled, rows.ended,
                    rows.num_ended);
  EXPECT_TRUE(at::equal(rows.next_ids.cpu(), at::tensor({0, 999}, at::kLong)));
}

TEST_P(Kernels, ARowThatIsNotANumberGivesTheLastToken) {
  const at::Tensor logits = at::full({1, 100}, NAN, dtype()), none = at::empty({0}, at::kLong);
  SampledRows rows(1, 1, device_);
  operators::sample(there(logits), there(at::zeros({1, 1}, at::kDouble)), there(none), there(none), {5, 6}, 1, rows.ids,
                    rows.next_ids, rows.trace, rows.num_sampled, rows.ended, rows.num_ended);
  EXPECT_EQ(rows.next_ids.cpu().item<int64_t>(), 99);
  EXPECT_TRUE(std::isnan(rows.trace.cpu()[0][0][1].item<double>()));
}

TEST_P(Kernels, DropoutHasTheMaskOfTheHost) {
  std::vector<int64_t> keys;
  for (int64_t row = 0; row < 7; ++row) keys.push_back(dropout_key(3, row));
  const at::Tensor keys_T = at::tensor(keys, at::kLong), x = numbers({7, 72});
  const uint64_t stream = 4;
  const double keep = 0.9;
  const at::Tensor want = x.to(wide()) * dropout_mask(keys_T, stream, 72, keep, wide());
  const DropoutHash hash = dropout_hash(stream, keep);
  const at::Tensor result = empty({7, 72}, wide());
  operators::drop_out(there(x), there(keys_T), hash.layer, hash.limit, 1 / keep, result);
  EXPECT_TRUE(at::equal(result.cpu(), want));
}

}  // namespace
}  // namespace lriad
