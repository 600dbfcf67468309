// What Rust calls. No exception leaves these functions: they return 0, or 1 with the reason in `message`.
#pragma once

#include <cstddef>
#include <cstdint>

namespace at {
class Tensor;
}

struct nac_dist_group;

struct nac_dist_error {
  char* message;
  std::size_t capacity;
};

// How a process joins a group.
struct nac_dist_options {
  const char* host; // of the store
  const char* prefix; // of the store's keys
  const char* interfaces; // names, separated by commas; or empty
  const char* address; // where this process listens if there are no interfaces; or empty
  std::int64_t timeout_ms;
  int rank;
  int size;
  int serve; // whether this process serves the store
  int listen_fd; // the socket that the store takes over; or negative
  std::uint16_t port; // of the store
};

extern "C" {

int nac_dist_join(const nac_dist_options* options, nac_dist_group** group, nac_dist_error error);

int nac_dist_broadcast(nac_dist_group* group, at::Tensor* tensor, int root, nac_dist_error error);

// Sums `tensor` over all ranks.
int nac_dist_all_reduce(nac_dist_group* group, at::Tensor* tensor, nac_dist_error error);

// Sums a flat float tensor over all ranks, with bfloat16 on the wire.
int nac_dist_all_reduce_bf16(nac_dist_group* group, at::Tensor* tensor, nac_dist_error error);

// Puts `input` of all ranks into `output`, in their order.
int nac_dist_all_gather(
    nac_dist_group* group,
    at::Tensor* output,
    at::Tensor* input,
    nac_dist_error error);

int nac_dist_barrier(nac_dist_group* group, std::int64_t timeout_ms, nac_dist_error error);

// Closes the connections to the other ranks; the store stays.
void nac_dist_disconnect(nac_dist_group* group);

// A number in the store.
int nac_dist_set(
    nac_dist_group* group,
    const char* key,
    std::uint64_t value,
    nac_dist_error error);

// `found` is 0 if there is no such key; does not wait for one.
int nac_dist_get(
    nac_dist_group* group,
    const char* key,
    int* found,
    std::uint64_t* value,
    nac_dist_error error);

void nac_dist_leave(nac_dist_group* group);
}
