#pragma once

// Compiles a CUDA kernel as host C++ and runs it a fiber a thread, one block after another, so that the indices, the
// reductions and the barriers of the very source that a GPU runs are tested without one. A warp runs as far as it gets
// before another one does, and warps and lanes take turns in either order, so that a missing barrier gives different
// numbers. What it does not show: errors that need two threads at the same moment (a sum without atomicAdd), memory
// order between blocks, misaligned addresses, and speed.

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace lriad::emulation {

/// In which order the warps of a block, and the lanes of a warp, run between two barriers.
enum class Order { kForward, kReverse };
inline Order order = Order::kForward;

constexpr std::size_t kGuard = 256;  // bytes behind the shared memory that a kernel must not write
constexpr std::size_t kStack = 64 << 10;

/// A stack of its own on which one body after another runs, as far as it gets. Turns are taken by _setjmp and _longjmp,
/// since each swapcontext would be two system calls.
class Fiber {
 public:
  explicit Fiber(void (*body)()) : body_(body) {
    getcontext(&begin_);
    begin_.uc_stack.ss_sp = stack_.get();
    begin_.uc_stack.ss_size = kStack;
    makecontext(&begin_, &Fiber::enter, 0);
  }

  /// Goes on with the body, or begins it anew, until it pauses or ends.
  void resume() {
    running = this;
    if (_setjmp(resumer) != 0) return;
    if (started_) _longjmp(paused_, 1);
    started_ = true;
    setcontext(&begin_);
  }
  /// Called on the fiber.
  void pause() {
    if (_setjmp(paused_) == 0) _longjmp(resumer, 1);
  }

 private:
  static void enter() {
    for (Fiber* const own = running;;) {
      own->body_();
      own->pause();
    }
  }

  inline static thread_local Fiber* running = nullptr;
  inline static thread_local jmp_buf resumer;
  void (*body_)();
  std::unique_ptr<char[]> stack_ = std::make_unique_for_overwrite<char[]>(kStack);
  ucontext_t begin_{};
  jmp_buf paused_;
  bool started_ = false;
};

class Block {
 public:
  Block(const std::function<void()>& body, unsigned threads, std::size_t shared)
      : body_(body), threads_(threads), groups_(1 + (threads + 31) / 32), size_(shared), shared_(shared + kGuard) {
    std::ranges::fill(shared_, '\xFF');  // floating-point numbers read from new memory are NaN
    while (fibers().size() < threads) fibers().push_back(std::make_unique<Fiber>(&Block::run_thread));
  }

  void run() {
    present = this;
    const std::size_t warps = groups_.size() - 1;
    for (left_ = threads_.size(); left_ > 0;) {
      const unsigned before = moves_;
      for (std::size_t w = 0; w < warps; ++w) run_warp(order == Order::kForward ? w : warps - 1 - w);
      if (moves_ != before) continue;
      fibers().clear();  // they stand in the middle of a kernel
      throw std::logic_error("some threads wait at a barrier that others do not reach");
    }
    if (!fault_.empty()) throw std::logic_error(fault_);
    const auto guard = shared_.begin() + static_cast<std::ptrdiff_t>(size_);
    if (std::any_of(guard, shared_.end(), [](char byte) { return byte != '\xFF'; }))
      throw std::logic_error("a write behind the end of the shared memory");
  }

  /// Waits for all threads of the block.
  void barrier(unsigned line) { wait(0, threads_.size(), line); }

  /// The value of lane `from` of the own warp.
  template <class Value>
  Value exchange(Value value, unsigned from, unsigned line) {
    static_assert(sizeof(Value) <= sizeof(uint64_t));
    const std::size_t own = running_, warp = own / 32, size = std::min<std::size_t>(32, threads_.size() - 32 * warp);
    // Two slots in turn: a lane may come to the next exchange while others have not read this one.
    const unsigned turn = threads_[own].exchanges++ % 2;
    std::memcpy(&threads_[own].slots[turn], &value, sizeof value);
    wait(1 + warp, size, line);
    if (from < size) std::memcpy(&value, &threads_[32 * warp + from].slots[turn], sizeof value);
    return value;
  }

  unsigned lane() const { return static_cast<unsigned>(running_ % 32); }
  void* shared() { return shared_.data(); }

  inline static Block* present = nullptr;

 private:
  struct Thread {
    bool done = false;
    unsigned exchanges = 0;
    std::array<uint64_t, 2> slots{};
  };
  struct Group {
    std::size_t arrived = 0;
    unsigned generation = 0, line = 0;
  };

  /// Used again by each block.
  static std::vector<std::unique_ptr<Fiber>>& fibers() {
    static thread_local std::vector<std::unique_ptr<Fiber>> all;
    return all;
  }

  static void run_thread() {
    const std::size_t own = present->running_;
    present->body_();
    present->threads_[own].done = true;
  }

  void wait(std::size_t group, std::size_t count, unsigned line) {
    Group& own = groups_[group];
    const unsigned generation = own.generation;
    if (own.arrived > 0 && own.line != line) fault_ = "threads meet at different barriers";
    own.line = line;
    if (++own.arrived == count) {
      own.arrived = 0;
      ++own.generation, ++moves_;
    }
    while (own.generation == generation) fibers()[running_]->pause();
  }

  void run_warp(std::size_t warp) {
    const std::size_t begin = 32 * warp, end = std::min(begin + 32, threads_.size());
    for (unsigned before = moves_ - 1; moves_ != before;) {
      before = moves_;
      for (std::size_t k = begin; k < end; ++k) {
        running_ = order == Order::kForward ? k : end - 1 - (k - begin);
        const Thread& thread = threads_[running_];
        if (thread.done) continue;
        place(running_);
        fibers()[running_]->resume();
        if (thread.done) --left_, ++moves_;
      }
    }
  }

  static void place(std::size_t t) {
    const auto n = static_cast<unsigned>(t);
    threadIdx = {n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y};
  }

  const std::function<void()>& body_;
  std::vector<Thread> threads_;
  std::vector<Group> groups_;  ///< the block, then its warps
  std::size_t size_;
  std::vector<char> shared_;
  std::string fault_;
  std::size_t running_ = 0, left_ = 0;
  unsigned moves_ = 0;  ///< barriers passed and threads ended: without any the block hangs
};

using Place = std::source_location;

}  // namespace lriad::emulation

inline void __syncthreads(lriad::emulation::Place place = lriad::emulation::Place::current()) {
  lriad::emulation::Block::present->barrier(place.line());
}
template <class Value>
Value __shfl_sync(unsigned, Value value, int from, lriad::emulation::Place place = lriad::emulation::Place::current()) {
  return lriad::emulation::Block::present->exchange(value, static_cast<unsigned>(from), place.line());
}
template <class Value>
Value __shfl_xor_sync(unsigned, Value value, int mask,
                      lriad::emulation::Place place = lriad::emulation::Place::current()) {
  auto& block = *lriad::emulation::Block::present;
  return block.exchange(value, block.lane() ^ static_cast<unsigned>(mask), place.line());
}
template <class Value>
Value __shfl_up_sync(unsigned, Value value, unsigned by,
                     lriad::emulation::Place place = lriad::emulation::Place::current()) {
  auto& block = *lriad::emulation::Block::present;
  return block.exchange(value, block.lane() < by ? block.lane() : block.lane() - by, place.line());
}
template <class Value>
Value atomicAdd(Value* place, Value value) {
  return std::exchange(*place, *place + value);
}
template <class Value>
Value atomicMin(Value* place, Value value) {
  return std::exchange(*place, std::min(*place, value));
}
inline void __threadfence() {}
template <class Value>
Value __ldcg(const Value* place) {
  return *place;
}
inline float rsqrt(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }

namespace lriad::kernels {

template <class Number>
Number* shared_memory() {
  return static_cast<Number*>(emulation::Block::present->shared());
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, unsigned threads, std::size_t shared, void* /*stream*/,
            Arguments... arguments) {
  const std::function<void()> body = [&] { kernel(static_cast<Parameters>(arguments)...); };
  gridDim = grid, blockDim = {threads, 1, 1};
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        emulation::Block(body, threads, shared).run();
      }
    }
  }
}

}  // namespace lriad::kernels
