/*
 * Memory for a process that lives for milliseconds: taken from the kernel in large pieces, whose pages come with one
 * system call instead of one page fault each, and handed out in a few sizes without looking at neighbours. Freed
 * blocks are kept for the next of their size. Three times as fast as malloc here, which took a quarter of a plugin's
 * instructions. What QuickJS is told of (malloc_size, by which it knows when to look for cycles) is what was taken from
 * the pieces, not what is in use at the moment: counting that would be a third of the work.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "quickjs.h"

#ifndef MADV_POPULATE_WRITE /* include/uapi/asm-generic/mman-common.h */
#define MADV_POPULATE_WRITE 23
#endif

enum {
  step = 8,             /* sizes up to `small` are multiples of it, header included */
  small = 512,
  small_sizes = small / step,
  doublings = 8,        /* then four to each doubling, up to 128 KiB; what is larger is mapped on its own */
  sizes = small_sizes + doublings * 4,
  own = 0xffff,
  reserves = 8,         /* pieces of what is left for when there is no more, and how much of it there is at least */
  least_reserve = 192 << 10,
  least_hole = 16 << 10,
  piece = 4 << 20,      /* asked from the kernel at once; under a limit less, down to */
  least_piece = 256 << 10,
  ready = 128 << 10,    /* and made ready for use at once */
};

/* In front of each block, which is aligned to 8 bytes as everything in QuickJS. */
struct block {
  uint32_t size_index;
  uint32_t unused;
};

/* The first piece, at an address that does not change: in a program that was prepared (engine.c) what the engine had
 * made by then is in it. It begins with everything that must be known to go on from there. */
extern uint8_t arena_start[], arena_end[];

struct free_block {
  struct free_block *next;
};

struct room {
  uint8_t *at, *end;
};

struct heap {
  struct free_block *free_blocks[sizes + 1];
  /*
   * When the kernel has no more, one allocation fails: what is at work then ends by an exception. What undoes it, and
   * says so, gets this.
   */
  struct room reserve[reserves];
  uint8_t *piece_at, *piece_ready, *piece_end;
  size_t piece_length;
  /* Undefined as long as the program is not prepared. */
  JSRuntime *runtime;
  JSContext *context;
  JSValue engine;
};

static struct heap *const heap = (struct heap *)arena_start;

/* The last words of a program that can do nothing any more: as a plugin answers (CNI specification, "Error"). */
#define NO_MEMORY(details) \
  "{\n    \"code\": 999,\n    \"msg\": \"cannot allocate memory\",\n    \"details\": \"" details "\"\n}"
static void end_without_memory(int at_start) {
  static const char start[] = NO_MEMORY("nothing was done");
  static const char later[] = NO_MEMORY("what this call had made by then may be left; a DEL removes it");
  ssize_t written = at_start ? write(1, start, sizeof start - 1) : write(1, later, sizeof later - 1);
  _exit(written < 0 ? 2 : 1);
}

/* Whether an allocation has failed. */
static int on_reserve;

/* Pages from the kernel; NULL where it has none. */
static void *pages(size_t size, int flags) {
  void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return start == MAP_FAILED ? NULL : start;
}

/* The next piece; a smaller one under a limit (RLIMIT_AS). */
static int take_piece(void) {
  for (size_t size = piece; size >= least_piece; size /= 4) {
    uint8_t *fresh = pages(size, MAP_NORESERVE);
    if (!fresh) continue;
    heap->piece_at = heap->piece_ready = fresh;
    heap->piece_end = fresh + size;
    heap->piece_length = size;
    return 1;
  }
  return 0;
}

/* Whether there is anything to begin with. */
static int memory_is_there(void) {
  return heap->piece_end > heap->piece_at || !heap->runtime || take_piece();
}

static void begin_heap(void) {
  heap->piece_at = heap->piece_ready = (uint8_t *)(heap + 1);
  heap->piece_end = arena_end;
}

static size_t size_of(uint32_t index) {
  if (index <= small_sizes) return index * step;
  uint32_t over = index - small_sizes - 1;
  return ((size_t)small << over / 4) / 4 * (5 + over % 4);
}

static uint32_t index_for(size_t size) {
  if (size <= small) return (size + step - 1) / step;
  uint32_t doubling = 63 - 9 - __builtin_clzl(size - 1);
  size_t quarter = (size_t)small << doubling >> 2;
  return small_sizes + doubling * 4 + (size - 1 - ((size_t)small << doubling)) / quarter + 1;
}

static size_t usable_size(const void *memory) {
  const struct block *block = (const struct block *)memory - 1;
  if (block->size_index == own) return ((const size_t *)block)[-1];
  return size_of(block->size_index) - sizeof *block;
}

/* How many blocks are mapped on their own. */
static size_t mapped_blocks;

/* The size of the mapping is in front of the block. */
static void *map_own(size_t size) {
  size_t whole = (size + 16 + 4095) & ~(size_t)4095;
  if (whole < size) return NULL;
  size_t *start = pages(whole, 0);
  if (!start) return NULL;
  mapped_blocks++;
  start[0] = whole - 16;
  ((struct block *)(start + 1))->size_index = own;
  return start + 2;
}

static void *take_reserve(size_t whole) {
  struct room *room = heap->reserve;
  while ((size_t)(room->end - room->at) < whole)
    if (++room == heap->reserve + reserves) end_without_memory(0);
  uint8_t *taken = room->at;
  room->at += whole;
  return taken;
}

static void keep_free(struct block *block) {
  struct free_block *free = (struct free_block *)(block + 1);
  free->next = heap->free_blocks[block->size_index];
  heap->free_blocks[block->size_index] = free;
}

/*
 * Only while a program is prepared, which is then 100 KiB smaller: large blocks that were given back, the former tables of
 * what has grown since, are room for small ones. No call does it, since it would look for such blocks in vain.
 */
static struct room hole;

/* What is left of it becomes free blocks, as large ones as there are. */
static void end_hole(void) {
  for (size_t left; (left = hole.end - hole.at) > 0;) {
    uint32_t index = index_for(left);
    if (size_of(index) > left) index--;
    if (left - size_of(index) == step) index--; /* a free block has a link in it */
    struct block *block = (struct block *)hole.at;
    block->size_index = index;
    keep_free(block);
    hole.at += size_of(index);
  }
}

static void *take_from_hole(size_t whole) {
  size_t left = hole.end - hole.at;
  if (left < whole) {
    uint32_t index = index_for(whole > least_hole ? whole : least_hole);
    while (index <= sizes && !heap->free_blocks[index]) index++;
    if (index > sizes) return NULL;
    end_hole();
    struct free_block *kept = heap->free_blocks[index];
    heap->free_blocks[index] = kept->next;
    hole.at = (uint8_t *)((struct block *)kept - 1);
    hole.end = hole.at + (left = size_of(index));
  }
  if (left - whole == step) return NULL;
  uint8_t *taken = hole.at;
  hole.at += whole;
  return taken;
}

static void *take(JSMallocState *state, size_t whole) {
  if (heap->piece_end == arena_end) {
    void *taken = take_from_hole(whole);
    if (taken) return taken;
  }
  if ((size_t)(heap->piece_end - heap->piece_at) < whole) {
    if (on_reserve) return take_reserve(whole);
    if (!take_piece()) {
      on_reserve = 1;
      return NULL;
    }
  }
  uint8_t *taken = heap->piece_at;
  heap->piece_at += whole;
  state->malloc_size += whole;
  if (heap->piece_at > heap->piece_ready) {
    uint8_t *page = (uint8_t *)((uintptr_t)heap->piece_ready & ~(uintptr_t)4095);
    size_t more = ((heap->piece_at - page) + ready - 1) & ~(size_t)(ready - 1);
    if (more > (size_t)(heap->piece_end - page)) more = heap->piece_end - page;
    madvise(page, more, MADV_POPULATE_WRITE); /* a kernel before 5.14 makes each page ready when it is used */
    heap->piece_ready = page + more;
  }
  return taken;
}

static void *allocate(JSMallocState *state, size_t size) {
  size_t whole = size + sizeof(struct block);
  if (whole > (size_t)small << doublings) {
    void *memory = map_own(size);
    if (memory) state->malloc_size += usable_size(memory);
    return memory;
  }
  uint32_t index = index_for(whole);
  struct free_block *kept = heap->free_blocks[index];
  if (kept) {
    heap->free_blocks[index] = kept->next;
    return kept;
  }
  struct block *block = take(state, size_of(index));
  if (!block) return NULL;
  block->size_index = index;
  return block + 1;
}

static void release(JSMallocState *state, void *memory) {
  if (!memory) return;
  struct block *block = (struct block *)memory - 1;
  if (block->size_index == own) {
    state->malloc_size -= usable_size(memory);
    size_t *start = (size_t *)block - 1;
    munmap(start, start[0] + 16);
    mapped_blocks--;
    return;
  }
  keep_free(block);
}

static void *reallocate(JSMallocState *state, void *memory, size_t size) {
  if (!memory) return size ? allocate(state, size) : NULL;
  if (!size) {
    release(state, memory);
    return NULL;
  }
  size_t had = usable_size(memory);
  if (size <= had && size * 2 > had) return memory;
  void *fresh = allocate(state, size);
  if (!fresh) return NULL;
  memcpy(fresh, memory, size < had ? size : had);
  release(state, memory);
  return fresh;
}

static const JSMallocFunctions memory_functions = {allocate, release, reallocate, usable_size};

/* Takes back all blocks from `start`, the first of them, to the end of what was taken, where all of them are free. */
static void take_back_from(uint8_t *start) {
  size_t taken = 0, free = 0;
  for (uint8_t *at = start; at < heap->piece_at; at += size_of(((struct block *)at)->size_index)) taken++;
  for (uint32_t index = 0; index <= sizes; index++)
    for (struct free_block *one = heap->free_blocks[index]; one; one = one->next) free += (uint8_t *)one > start;
  if (taken != free) return;
  for (uint32_t index = 0; index <= sizes; index++) {
    struct free_block **link = &heap->free_blocks[index];
    while (*link)
      if ((uint8_t *)*link > start) *link = (*link)->next;
      else link = &(*link)->next;
  }
  memset(start, 0, heap->piece_at - start);
  heap->piece_at = start;
}

/*
 * For a program that is prepared: what it took and gave back by then is not taken again, since a page that is written to
 * would be copied first. The largest of it become the reserve, with more from the arena's end where that is not enough.
 * Nothing is in any of it. Whether there was room for the reserve.
 */
static int give_up_free_blocks(void) {
  size_t have = 0, count = 0;
  end_hole();
  for (uint32_t index = sizes + 1; index-- > 0;) {
    size_t size = size_of(index);
    for (struct free_block *one = heap->free_blocks[index], *next; one; one = next) {
      next = one->next;
      uint8_t *block = (uint8_t *)((struct block *)one - 1);
      memset(block, 0, size);
      if (count == reserves - 1) continue;
      heap->reserve[count++] = (struct room){block, block + size};
      have += size;
    }
    heap->free_blocks[index] = NULL;
  }
  size_t more = have < least_reserve ? least_reserve - have : 0;
  if ((size_t)(heap->piece_end - heap->piece_at) < more) return 0;
  heap->reserve[count] = (struct room){heap->piece_at, heap->piece_at + more};
  heap->piece_at += more;
  return 1;
}
