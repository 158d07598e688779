#include "communicator_host.h"
#include "lriad/core/error.h"

namespace lriad {

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<HostCommunicator>, const at::Device& device,
                                                     AllReduce) {
  fail("dist", "several processes on ", device.str(),
       " need NCCL, and this program was built without; build it with the CUDA ",
       "toolkit and NCCL, or use --devices 1");
}

}  // namespace lriad
