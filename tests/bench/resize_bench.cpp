// Time of one resize on one core. For comparison, Pillow: python -m timeit -s "from PIL import Image;
// i = Image.effect_noise((900, 900), 80).convert('RGB')" "i.resize((448, 448), Image.Resampling.BICUBIC)"
#include <benchmark/benchmark.h>

#include "lriad/vision/image_processor.h"

namespace {

void resize(benchmark::State& state, lriad::ResizeBackend backend) {
  const int64_t from = state.range(0), to = state.range(1);
  lriad::Image image{from, from, std::vector<uint8_t>(static_cast<std::size_t>(from * from * 3))};
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  for (auto step : state) {
    benchmark::DoNotOptimize(lriad::resize_bicubic(image, to, to, backend));
  }
}

BENCHMARK_CAPTURE(resize, pil, lriad::ResizeBackend::kPil)
    ->Args({900, 448})
    ->Args({1024, 616})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(resize, torchvision, lriad::ResizeBackend::kTorchvision)
    ->Args({900, 448})
    ->Args({1024, 616})
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
