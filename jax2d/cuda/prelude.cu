// One step of one scene by one thread: CUDA C that is plain C++ too, so that it can be tested without a GPU.
// The host defines the sizes of the scenes (POLYGONS, ...), the places of the physics' numbers (P_DT, ...),
// the struct `Arrays` of all arrays, and the parameters of the entry points. Formulas, and the order of what
// depends on it, are those of pipeline.py; comments there are not repeated here.

#ifdef __CUDACC_RTC__
#define INLINE __device__ __forceinline__
#define MEMBER __device__ __forceinline__
#define ENTRY extern "C" __global__ void __launch_bounds__(BLOCK)
#define INFINITE __int_as_float(0x7f800000)
#else
#include <math.h>
#define INLINE static inline
#define MEMBER inline
#define ENTRY extern "C" void
#define INFINITE INFINITY
#undef BLOCK
#define BLOCK 1
#endif

// Reads what no thread writes.
#ifdef __CUDACC_RTC__
template <typename T>
INLINE T load(const T* pointer) {
  return __ldg(pointer);
}
INLINE bool load(const bool* pointer) { return __ldg(reinterpret_cast<const unsigned char*>(pointer)) != 0; }
#else
template <typename T>
INLINE T load(const T* pointer) {
  return *pointer;
}
#endif

#define AT_LEAST_1(count) ((count) > 0 ? (count) : 1)

constexpr int BODIES = POLYGONS + CIRCLES;
constexpr int FREE_POLYGONS = POLYGONS - WALLS;
// Pairs of each kind, and the first contact slot of each block of pairs.
constexpr int WALL_PAIRS = WALLS * FREE_POLYGONS;
constexpr int LISTED_PAIRS = FREE_POLYGONS * (FREE_POLYGONS - 1) / 2;
constexpr int POLYGON_PAIRS = WALL_PAIRS + LISTED_PAIRS;
constexpr int MIXED_PAIRS = POLYGONS * CIRCLES;
constexpr int CIRCLE_PAIRS = CIRCLES * (CIRCLES - 1) / 2;
constexpr int FIRST_LISTED = 2 * WALL_PAIRS;
constexpr int FIRST_MIXED = 2 * POLYGON_PAIRS;
constexpr int FIRST_ROUND = FIRST_MIXED + MIXED_PAIRS;
constexpr int CONTACTS = FIRST_ROUND + CIRCLE_PAIRS;
constexpr int LARGER_KIND = POLYGON_PAIRS > MIXED_PAIRS ? POLYGON_PAIRS : MIXED_PAIRS;
constexpr int LARGEST_KIND = LARGER_KIND > CIRCLE_PAIRS ? LARGER_KIND : CIRCLE_PAIRS;
constexpr int GROUP_SIZE = 16;

// Where a scene's numbers are: the batch is the arrays' last axis, or their first one.
struct Place {
  unsigned scene, batch;

  MEMBER unsigned long long at(unsigned rows, unsigned row) const {
    return BATCH_FIRST ? (unsigned long long)scene * rows + row : (unsigned long long)row * batch + scene;
  }
};

// Minima and maxima keep a value that is not a number, as those of XLA do.
INLINE float least(float value, float bound) { return bound < value ? bound : value; }
INLINE float most(float value, float bound) { return bound > value ? bound : value; }
INLINE float clip(float value, float low, float high) { return least(most(value, low), high); }
INLINE float nonzero(float value) { return value == 0.0f ? 1.0f : value; }
INLINE float cross(float x, float y, float u, float v) { return x * v - y * u; }

INLINE float number(const Arrays& arrays, const Place& place, int index) {
  // Numbers of the physics: one for all scenes, or one for each.
  unsigned each = (unsigned)load(arrays.sizes + 1);
  return load(arrays.params + (each ? (unsigned long long)index * place.batch + place.scene : index));
}

// A body that an array names; some body that exists whatever it holds.
INLINE int body_at(const int* bodies, const Place& place, int rows, int row) {
  int body = load(bodies + place.at(rows, row));
  return body < 0 ? 0 : body >= BODIES ? BODIES - 1 : body;
}
