/* memory.h put to the test: sizes fit together, and blocks of all sizes keep what is in them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"

__asm__(".bss\n.global arena_start, arena_end\n.balign 4096\narena_start: .space 1048576\narena_end:\n.text\n");

enum { blocks = 5000, rounds = 2000000 };
static uint8_t *memory[blocks], content[blocks];
static size_t length[blocks];

static void look(int i, size_t upto) {
  for (size_t at = 0; at < upto; at += upto / 7 + 1) assert(memory[i][at] == content[i]);
}

/* What was used and given back before a program is prepared is there when nothing else is. */
static void reserved(void) {
  JSMallocState state = {0};
  begin_heap();
  void *kept = allocate(&state, 40), *large = allocate(&state, 100000), *old = allocate(&state, 40);
  release(&state, old);
  uint8_t *start = heap->piece_at;
  void *taken[] = {allocate(&state, 40), allocate(&state, 40), allocate(&state, 3000)};
  release(&state, taken[2]);
  take_back_from(start);
  assert(heap->piece_at > start);
  release(&state, taken[1]);
  release(&state, taken[0]);
  take_back_from(start);
  assert(heap->piece_at == start && allocate(&state, 40) == old);
  release(&state, large);
  release(&state, old);
  assert(give_up_free_blocks());
  size_t size = 0;
  for (int i = 0; i < reserves; i++) size += heap->reserve[i].end - heap->reserve[i].at;
  assert(size >= least_reserve && heap->reserve[0].at == (uint8_t *)large - sizeof(struct block));
  heap->piece_at = heap->piece_end;
  on_reserve = 1;
  assert(allocate(&state, 90000) == large && allocate(&state, 40) != kept);
  on_reserve = 0;
  memset(arena_start, 0, arena_end - arena_start);
}

/* While a program is prepared small blocks lie in large ones that were given back, and no two in one place. */
static void in_holes(void) {
  JSMallocState state = {0};
  begin_heap();
  void *large[] = {allocate(&state, 100000), allocate(&state, 20000)};
  uint8_t *start = large[0], *end = heap->piece_at;
  release(&state, large[0]);
  release(&state, large[1]);
  enum { count = 1100 };
  uint8_t *small_ones[count];
  size_t inside = 0;
  for (int i = 0; i < count; i++) {
    small_ones[i] = allocate(&state, i % 250 + 1);
    memset(small_ones[i], i, i % 250 + 1);
    inside += small_ones[i] >= start && small_ones[i] < end;
  }
  for (int i = 0; i < count; i++) assert(small_ones[i][0] == (uint8_t)i && small_ones[i][i % 250] == (uint8_t)i);
  assert(inside > 700 && inside < count);
  for (int i = 0; i < count; i++) release(&state, small_ones[i]);
  memset(arena_start, 0, arena_end - arena_start);
  hole = (struct room){0};
}

int main(void) {
  reserved();
  in_holes();
  for (uint32_t index = 1; index <= sizes; index++) {
    size_t size = size_of(index);
    assert(index_for(size) == index && (index == 1 || index_for(size_of(index - 1) + 1) == index));
  }
  begin_heap();
  JSMallocState state = {0};
  srand(1);
  for (int round = 0; round < rounds; round++) {
    int i = rand() % blocks;
    size_t size = rand() % 4 ? rand() % 300 + 1 : rand() % 30 ? rand() % 5000 + 1 : rand() % 400000 + 1;
    if (memory[i]) look(i, length[i]);
    if (memory[i] && rand() % 3 == 0) {
      release(&state, memory[i]);
      memory[i] = NULL;
      continue;
    }
    if (memory[i] && rand() % 2) {
      memory[i] = reallocate(&state, memory[i], size);
      look(i, size < length[i] ? size : length[i]);
    } else {
      release(&state, memory[i]);
      memory[i] = allocate(&state, size);
    }
    assert(memory[i] && (uintptr_t)memory[i] % 8 == 0 && usable_size(memory[i]) >= size);
    length[i] = size;
    content[i] = rand();
    memset(memory[i], content[i], size);
  }
  for (int i = 0; i < blocks; i++) release(&state, memory[i]);
  /* What is left is what lies in the pieces, ready for the next; more of the same takes nothing more. */
  size_t left = state.malloc_size;
  for (int i = 0; i < blocks; i++) memory[i] = allocate(&state, i % 300 + 1);
  for (int i = 0; i < blocks; i++) release(&state, memory[i]);
  for (int i = 0; i < blocks; i++) memory[i] = allocate(&state, i % 300 + 1);
  assert(left > 0 && state.malloc_size >= left && state.malloc_size < left + blocks * 400);
  size_t again = state.malloc_size;
  for (int i = 0; i < blocks; i++) release(&state, memory[i]);
  for (int i = 0; i < blocks; i++) memory[i] = allocate(&state, i % 300 + 1);
  assert(state.malloc_size == again);
  puts("ok");
  return 0;
}
