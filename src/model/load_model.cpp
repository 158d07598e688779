#include "lriad/model/load_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/DefaultDtype.h>

#include <cstdlib>

#include "lriad/core/error.h"
#include "lriad/model/model_files.h"

namespace lriad {
namespace {

/// Floating-point tensors made without a dtype are of `dtype` while this lives.
class DefaultDtype {
 public:
  explicit DefaultDtype(at::ScalarType dtype) : before_(c10::get_default_dtype()) {
    c10::set_default_dtype(caffe2::TypeMeta::fromScalarType(dtype));
  }
  ~DefaultDtype() { c10::set_default_dtype(before_); }
  DefaultDtype(const DefaultDtype&) = delete;
  DefaultDtype& operator=(const DefaultDtype&) = delete;

 private:
  caffe2::TypeMeta before_;
};

}  // namespace

void limit_threads(const TextConfig& text) {
  constexpr int64_t kNarrow = 256;
  if (text.hidden_size < kNarrow && std::getenv("OMP_NUM_THREADS") == nullptr) at::set_num_threads(1);
}

at::ScalarType scalar_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBfloat16:
      return at::kBFloat16;
    case Dtype::kFloat32:
      return at::kFloat;
    case Dtype::kFloat64:
      return at::kDouble;
  }
  throw InternalError("[model] unknown dtype");
}

Qwen2Vl load_model(const std::filesystem::path& model_dir, at::ScalarType dtype, const at::Device& device) {
  const ModelConfig config = read_model_config(model_dir);
  const DefaultDtype default_dtype(dtype);
  // The constructor's tensors are never touched, so they take no memory before the weights replace them.
  Qwen2Vl model(config);
  std::map<std::string, at::Tensor> parameters;
  for (const auto& item : model->named_parameters()) parameters[item.key()] = item.value();
  load_weights(model_dir, config, parameters, dtype, device);
  model->eval();
  return model;
}

void add_adapter(Qwen2Vl& model, const Adapter& adapter, double dropout) {
  const AdapterConfig& config = adapter.config;
  model->add_lora(config.target_modules, config.r, config.scaling(), dropout);
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> parameters = model->lora_parameters();
  for (const auto& [name, tensor] : adapter.tensors) {
    const auto parameter = parameters.find(name);
    if (parameter == parameters.end()) fail("model", "the model does not have the adapter's ", name);
    if (parameter->second.sizes() != tensor.sizes()) {
      fail("model", "the adapter's ", name, " is ", tensor.sizes(), ", the model needs ", parameter->second.sizes(),
           "; was it trained on another model?");
    }
    parameter->second.copy_(tensor);
    parameters.erase(parameter);
  }
  if (!parameters.empty())
    fail("model", "the adapter lacks ", parameters.begin()->first, " (", parameters.size(), " missing in all)");
}

}  // namespace lriad
