// The kernels, compiled for the host, as operators for its tensors.
#include "kernels/cuda/between_products.cu"
#include "kernels/cuda/cached_attention.cu"
#include "kernels/cuda/drop_out.cu"
#include "kernels/cuda/operators.cpp"
#include "kernels/cuda/sample.cu"
