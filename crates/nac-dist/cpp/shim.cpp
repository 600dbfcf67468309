#include "shim.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <torch/version.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

// The headers of gloo in this folder are declarations for this release of libtorch.
static_assert(
    TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR == 11 && TORCH_VERSION_PATCH == 0,
    "nac-dist needs the headers of libtorch 2.11.0");

using c10d::ProcessGroupGloo;
using std::chrono::milliseconds;

struct nac_dist_group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<ProcessGroupGloo> gloo;
  // Kept by all_reduce_bf16, so that each step does not get fresh pages.
  std::vector<at::Tensor> scratch;
};

namespace {

// The timeout of the group, which is part of every operation, holds for the waits too.
constexpr milliseconds kUntilItEnds = milliseconds::zero();

template <typename Action>
int guarded(nac_dist_error error, Action action) noexcept {
  const auto say = [&](const char* text) {
    std::snprintf(error.message, error.capacity, "%s", text);
  };
  try {
    action();
    return 0;
  } catch (const c10::Error& e) {
    say(e.what_without_backtrace());
  } catch (const std::exception& e) {
    say(e.what());
  } catch (...) {
    say("an exception of unknown type");
  }
  return 1;
}

ProcessGroupGloo& connected(nac_dist_group* group) {
  TORCH_CHECK(group->gloo, "the connections to the other ranks are closed");
  return *group->gloo;
}

void finish(const c10::intrusive_ptr<c10d::Work>& work) {
  work->wait(kUntilItEnds);
}

c10::intrusive_ptr<c10d::Store> open_store(const nac_dist_options& from) {
  c10d::TCPStoreOptions options;
  options.port = from.port;
  options.isServer = from.serve != 0;
  options.waitWorkers = false;
  options.timeout = milliseconds(from.timeout_ms);
  if (from.serve && from.listen_fd >= 0) {
    options.masterListenFd = from.listen_fd;
  }
  auto store = c10::make_intrusive<c10d::TCPStore>(from.host, options);
  return c10::make_intrusive<c10d::PrefixStore>(from.prefix, std::move(store));
}

c10::intrusive_ptr<ProcessGroupGloo::Options> open_devices(const nac_dist_options& from) {
  auto options = ProcessGroupGloo::Options::create(milliseconds(from.timeout_ms));
  std::istringstream names(from.interfaces);
  std::string name;
  while (std::getline(names, name, ',')) {
    options->devices.push_back(ProcessGroupGloo::createDeviceForInterface(name));
  }
  if (options->devices.empty()) {
    options->devices.push_back(
        *from.address ? ProcessGroupGloo::createDeviceForHostname(from.address)
                      : ProcessGroupGloo::createDefaultDevice());
  }
  return options;
}

float widened(std::uint16_t half) {
  const std::uint32_t bits = std::uint32_t(half) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// To the nearest bfloat16, ties to even; NaN stays NaN.
std::uint16_t rounded(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const std::uint32_t nearest = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
  return std::uint16_t(is_nan ? 0x7fc0U : nearest);
}

void round_all(const float* from, std::uint16_t* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = rounded(from[i]);
  }
}

void widen_all(const std::uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = widened(from[i]);
  }
}

// Sums rows of `count` numbers in float32, in their order, a few numbers at a time so that the sums stay in the cache.
// The result may take the place of a row.
void sum_rows(const std::vector<const std::uint16_t*>& rows, int64_t count, std::uint16_t* to) {
  constexpr int64_t kBlock = 2048;
  float sums[kBlock];
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t block = std::min(kBlock, count - start);
    std::fill_n(sums, block, 0.0F);
    for (const std::uint16_t* row : rows) {
      for (int64_t i = 0; i < block; ++i) {
        sums[i] += widened(row[start + i]);
      }
    }
    round_all(sums, to + start, block);
  }
}

std::uint16_t* bits(const at::Tensor& tensor) {
  return static_cast<std::uint16_t*>(tensor.data_ptr());
}

using Works = std::vector<c10::intrusive_ptr<c10d::Work>>;

// Starts to send `out(rank)` to every other rank and to receive `in(rank)` from it, all at once and without copies.
template <typename Out, typename In>
Works exchange(ProcessGroupGloo& gloo, int tag, Out out, In in) {
  Works works;
  for (int rank = 0; rank < gloo.getSize(); ++rank) {
    if (rank != gloo.getRank()) {
      std::vector<at::Tensor> received{in(rank)}, sent{out(rank)};
      works.push_back(gloo.recv(received, rank, tag));
      works.push_back(gloo.send(sent, rank, tag));
    }
  }
  return works;
}

void finish_all(ProcessGroupGloo& gloo, const Works& works) {
  for (const auto& work : works) {
    work->wait(gloo.getOptions()->timeout);
  }
}

// Some consecutive numbers of a tensor, padded to a part of equal length for each rank.
struct Piece {
  int64_t start, count; // in the tensor
  int64_t offset, part; // in the scratch memory
  Works works;
};

std::vector<Piece> pieces_of(int64_t count, int64_t size) {
  constexpr int64_t kLength = int64_t(1) << 22;
  std::vector<Piece> pieces;
  int64_t offset = 0;
  for (int64_t start = 0; start < count; start += kLength) {
    const int64_t length = std::min(kLength, count - start);
    const int64_t part = (length + size - 1) / size;
    pieces.push_back({start, length, offset, part, {}});
    offset += size * part;
  }
  return pieces;
}

// Every rank sums a part of each piece in float32 and rounds the sum, so that rounding does not grow with the number of
// ranks and all of them end with the same bits. Pieces travel while others are converted.
void all_reduce_bf16(nac_dist_group* group, at::Tensor& tensor) {
  auto& gloo = connected(group);
  const int64_t size = gloo.getSize();
  const int own = gloo.getRank();
  auto pieces = pieces_of(tensor.numel(), size);
  if (pieces.empty()) {
    return;
  }
  const int64_t length = pieces.back().offset + size * pieces.back().part;
  if (group->scratch.size() != 2 || group->scratch[0].numel() != length) {
    const auto kind = tensor.options().dtype(at::kBFloat16);
    group->scratch = {at::zeros({length}, kind), at::zeros({length}, kind)};
  }
  at::Tensor &mine = group->scratch[0], &received = group->scratch[1];
  const auto part_of = [](const at::Tensor& of, const Piece& piece, int64_t rank) {
    return of.narrow(0, piece.offset + rank * piece.part, piece.part);
  };
  float* values = tensor.data_ptr<float>();
  for (Piece& piece : pieces) {
    round_all(values + piece.start, bits(mine) + piece.offset, piece.count);
    piece.works = exchange(
        gloo,
        1,
        [&](int rank) { return part_of(mine, piece, rank); },
        [&](int rank) { return part_of(received, piece, rank); });
  }
  for (Piece& piece : pieces) {
    finish_all(gloo, piece.works);
    std::vector<const std::uint16_t*> terms;
    for (int rank = 0; rank < size; ++rank) {
      terms.push_back(bits(part_of(rank == own ? mine : received, piece, rank)));
    }
    sum_rows(terms, piece.part, bits(part_of(mine, piece, own)));
    // The parts of the others that this replaces were sent before their sums can come.
    piece.works = exchange(
        gloo,
        2,
        [&](int) { return part_of(mine, piece, own); },
        [&](int rank) { return part_of(mine, piece, rank); });
  }
  for (Piece& piece : pieces) {
    finish_all(gloo, piece.works);
    widen_all(bits(mine) + piece.offset, values + piece.start, piece.count);
  }
}

} // namespace

extern "C" {

int nac_dist_join(const nac_dist_options* options, nac_dist_group** group, nac_dist_error error) {
  return guarded(error, [&] {
    auto store = open_store(*options);
    auto gloo = c10::make_intrusive<ProcessGroupGloo>(
        store, options->rank, options->size, open_devices(*options));
    *group = new nac_dist_group{std::move(store), std::move(gloo), {}};
  });
}

int nac_dist_broadcast(nac_dist_group* group, at::Tensor* tensor, int root, nac_dist_error error) {
  return guarded(error, [&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    finish(connected(group).broadcast(tensors, options));
  });
}

int nac_dist_all_reduce(nac_dist_group* group, at::Tensor* tensor, nac_dist_error error) {
  return guarded(error, [&] {
    std::vector<at::Tensor> tensors{*tensor};
    finish(connected(group).allreduce(tensors));
  });
}

int nac_dist_all_reduce_bf16(nac_dist_group* group, at::Tensor* tensor, nac_dist_error error) {
  return guarded(error, [&] {
    at::NoGradGuard no_grad;
    all_reduce_bf16(group, *tensor);
  });
}

int nac_dist_all_gather(
    nac_dist_group* group,
    at::Tensor* output,
    at::Tensor* input,
    nac_dist_error error) {
  return guarded(error, [&] { finish(connected(group)._allgather_base(*output, *input)); });
}

int nac_dist_barrier(nac_dist_group* group, std::int64_t timeout_ms, nac_dist_error error) {
  return guarded(error, [&] {
    c10d::BarrierOptions options;
    options.timeout = milliseconds(timeout_ms);
    connected(group).monitoredBarrier(options, true);
  });
}

void nac_dist_disconnect(nac_dist_group* group) {
  char ignored[1];
  guarded({ignored, sizeof(ignored)}, [&] { group->gloo.reset(); });
}

int nac_dist_set(
    nac_dist_group* group,
    const char* key,
    std::uint64_t value,
    nac_dist_error error) {
  return guarded(error, [&] {
    std::vector<uint8_t> bytes(sizeof(value));
    std::memcpy(bytes.data(), &value, sizeof(value));
    group->store->set(std::string(key), bytes);
  });
}

int nac_dist_get(
    nac_dist_group* group,
    const char* key,
    int* found,
    std::uint64_t* value,
    nac_dist_error error) {
  return guarded(error, [&] {
    *found = 0;
    if (group->store->check({key})) {
      const auto bytes = group->store->get(std::string(key));
      TORCH_CHECK(bytes.size() == sizeof(*value), "the store's ", key, " is not a number");
      std::memcpy(value, bytes.data(), sizeof(*value));
      *found = 1;
    }
  });
}

void nac_dist_leave(nac_dist_group* group) {
  char ignored[1];
  guarded({ignored, sizeof(ignored)}, [&] { delete group; });
}
}
