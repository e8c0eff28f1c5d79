// Contacts from positions (collision/*.py). Only pairs whose bounding boxes overlap are tested.

constexpr float REFERENCE_FACE_PREFERENCE = 0.01f;
constexpr float BOX_MARGIN = 1e-3f;

struct Polygon {
  float x[VERTICES], y[VERTICES], tangent_x[VERTICES], tangent_y[VERTICES], length[VERTICES], support[VERTICES];
  int count;
};

struct Box {
  float low_x, low_y, high_x, high_y;
};

// What a scene's contacts are found from.
struct Geometry {
  float x[BODIES], y[BODIES], cos[BODIES], sin[BODIES];
  float radius[AT_LEAST_1(CIRCLES)];
  Polygon polygons[AT_LEAST_1(POLYGONS)];
  Box boxes[BODIES];
  unsigned char mode[BODIES], label[BODIES];
};

struct Manifold {
  float normal_x, normal_y, penetration, x[2], y[2];
  int points;
};

INLINE void place_polygon(const Arrays& arrays, const Place& place, int body, Geometry& geometry) {
  Polygon& polygon = geometry.polygons[body];
  float x = geometry.x[body], y = geometry.y[body], c = geometry.cos[body], s = geometry.sin[body];
  int count = load(arrays.num_vertices + place.at(POLYGONS, body));
  polygon.count = count;
  Box box = {INFINITE, INFINITE, -INFINITE, -INFINITE};
  float at_x[VERTICES], at_y[VERTICES];
#pragma unroll
  for (int i = 0; i < VERTICES; i++) {
    unsigned row = (body * VERTICES + i) * 2;
    float local_x = load(arrays.vertices + place.at(POLYGONS * VERTICES * 2, row));
    float local_y = load(arrays.vertices + place.at(POLYGONS * VERTICES * 2, row + 1));
    float world_x = x + (c * local_x - s * local_y), world_y = y + (s * local_x + c * local_y);
    at_x[i] = polygon.x[i] = world_x;
    at_y[i] = polygon.y[i] = world_y;
    if (i < count) {
      box.low_x = least(box.low_x, world_x);
      box.low_y = least(box.low_y, world_y);
      box.high_x = most(box.high_x, world_x);
      box.high_y = most(box.high_y, world_y);
    }
  }
#pragma unroll
  for (int i = 0; i < VERTICES; i++) {
    int next = (i + 1) % VERTICES;
    float edge_x = (i == count - 1 ? at_x[0] : at_x[next]) - at_x[i];
    float edge_y = (i == count - 1 ? at_y[0] : at_y[next]) - at_y[i];
    float length = i < count ? sqrtf(edge_x * edge_x + edge_y * edge_y) : 0.0f;
    float divisor = length > 0.0f ? length : 1.0f;
    float tangent_x = edge_x / divisor, tangent_y = edge_y / divisor, support = -INFINITE;
#pragma unroll
    for (int k = 0; k < VERTICES; k++)
      if (k < count) support = most(support, cross(tangent_x, tangent_y, at_x[k], at_y[k]));
    polygon.tangent_x[i] = tangent_x;
    polygon.tangent_y[i] = tangent_y;
    polygon.length[i] = length;
    polygon.support[i] = support;
  }
  geometry.boxes[body] = box;
}

// Components of the graph of active joints: every body gets the label of one of its component's bodies.
INLINE void label_components(const Arrays& arrays, const Place& place, Geometry& geometry) {
#pragma unroll 4
  for (int i = 0; i < BODIES; i++) geometry.label[i] = (unsigned char)i;
#pragma unroll 1
  for (int j = 0; j < JOINTS; j++) {
    if (!load(arrays.joints_active + place.at(JOINTS, j))) continue;
    int a = body_at(arrays.joints_body_a, place, JOINTS, j), b = body_at(arrays.joints_body_b, place, JOINTS, j);
    unsigned char keep = geometry.label[a], drop = geometry.label[b];
#pragma unroll 4
    for (int i = 0; i < BODIES; i++)
      if (geometry.label[i] == drop) geometry.label[i] = keep;
  }
}

INLINE void find_geometry(const Arrays& arrays, const Place& place, Geometry& geometry) {
#pragma unroll 4
  for (int i = 0; i < BODIES; i++) {
    geometry.x[i] = arrays.position[place.at(BODIES * 2, 2 * i)];
    geometry.y[i] = arrays.position[place.at(BODIES * 2, 2 * i + 1)];
    float rotation = arrays.rotation[place.at(BODIES, i)];
    geometry.cos[i] = cosf(rotation);
    geometry.sin[i] = sinf(rotation);
    geometry.mode[i] = (unsigned char)load(arrays.collision_mode + place.at(BODIES, i));
  }
#pragma unroll 1
  for (int i = 0; i < POLYGONS; i++) place_polygon(arrays, place, i, geometry);
#pragma unroll 2
  for (int i = 0; i < CIRCLES; i++) {
    float radius = load(arrays.radius + place.at(CIRCLES, i));
    float x = geometry.x[POLYGONS + i], y = geometry.y[POLYGONS + i];
    geometry.radius[i] = radius;
    geometry.boxes[POLYGONS + i] = {x - radius, y - radius, x + radius, y + radius};
  }
#pragma unroll 4
  for (int i = 0; i < BODIES; i++) {
    Box& box = geometry.boxes[i];
    bool active = load(arrays.active + place.at(BODIES, i));
    box.low_x = active ? box.low_x : INFINITE;
    box.high_x = active ? box.high_x + BOX_MARGIN : -INFINITE;
    box.high_y += BOX_MARGIN;
  }
}

// The face of `polygon` along which `other` is farthest off; false if one separates the two.
INLINE bool find_face(const Polygon& polygon, const Polygon& other, int& face, float& separation) {
  face = 0;
  separation = -INFINITE;
#pragma unroll 1
  for (int i = 0; i < polygon.count; i++) {
    float tangent_x = polygon.tangent_x[i], tangent_y = polygon.tangent_y[i], nearest = INFINITE;
#pragma unroll 1
    for (int k = 0; k < other.count; k++)
      nearest = least(nearest, cross(tangent_x, tangent_y, other.x[k], other.y[k]));
    float apart = nearest - polygon.support[i];
    if (apart > separation) {
      separation = apart;
      face = i;
    }
    if (apart >= 0.0f) return false;
  }
  return true;
}

INLINE void collide_polygons(const Polygon& a, const Polygon& b, Manifold& manifold) {
  int face_a, face_b;
  float separation_a, separation_b;
  manifold.points = 0;
  if (!find_face(a, b, face_a, separation_a) || !find_face(b, a, face_b, separation_b)) return;
  bool use_b = separation_a + REFERENCE_FACE_PREFERENCE < separation_b;
  const Polygon& reference = use_b ? b : a;
  const Polygon& incident = use_b ? a : b;
  int face = use_b ? face_b : face_a;
  float face_x = reference.x[face], face_y = reference.y[face], length = reference.length[face];
  float tangent_x = reference.tangent_x[face], tangent_y = reference.tangent_y[face];
  float first = INFINITE, second = INFINITE, x0 = 0.0f, y0 = 0.0f, x1 = 0.0f, y1 = 0.0f;
#pragma unroll 1
  for (int i = 0; i < incident.count; i++) {
    float x = incident.x[i], y = incident.y[i];
    float depth = cross(tangent_x, tangent_y, x, y);
    float along = (x - face_x) * tangent_x + (y - face_y) * tangent_y;
    float slide = clip(along, 0.0f, length) - along;
    x += slide * tangent_x;
    y += slide * tangent_y;
    bool deepest = depth <= first, deeper = depth <= second;
    second = deepest ? first : deeper ? depth : second;
    x1 = deepest ? x0 : deeper ? x : x1;
    y1 = deepest ? y0 : deeper ? y : y1;
    first = deepest ? depth : first;
    x0 = deepest ? x : x0;
    y0 = deepest ? y : y0;
  }
  float sign = use_b ? -1.0f : 1.0f;
  manifold.normal_x = -sign * tangent_y;
  manifold.normal_y = sign * tangent_x;
  manifold.penetration = -most(separation_a, separation_b);
  manifold.x[0] = x0;
  manifold.y[0] = y0;
  manifold.x[1] = x1;
  manifold.y[1] = y1;
  manifold.points = second < reference.support[face] ? 2 : 1;
}

// Unit vector along (x, y), zero at zero; returns the length.
INLINE float direction(float x, float y, float& unit_x, float& unit_y) {
  float squared = x * x + y * y;
  float length = squared > 0.0f ? sqrtf(squared) : 0.0f, divisor = squared > 0.0f ? length : 1.0f;
  unit_x = x / divisor;
  unit_y = y / divisor;
  return length;
}

INLINE void collide_circle(float x, float y, float radius, const Polygon& polygon, Manifold& manifold) {
  float nearest = INFINITE, best_x = 0.0f, best_y = 0.0f;
  bool inside = true;
#pragma unroll 1
  for (int i = 0; i < polygon.count; i++) {
    float face_x = polygon.x[i], face_y = polygon.y[i];
    float tangent_x = polygon.tangent_x[i], tangent_y = polygon.tangent_y[i];
    float from_x = x - face_x, from_y = y - face_y;
    float along = clip(from_x * tangent_x + from_y * tangent_y, 0.0f, polygon.length[i]);
    float near_x = face_x + along * tangent_x, near_y = face_y + along * tangent_y;
    float squared = (x - near_x) * (x - near_x) + (y - near_y) * (y - near_y);
    if (squared < nearest) {
      nearest = squared;
      best_x = near_x;
      best_y = near_y;
    }
    inside = inside && cross(tangent_x, tangent_y, from_x, from_y) < 0.0f;
  }
  float normal_x, normal_y;
  float distance = direction(best_x - x, best_y - y, normal_x, normal_y);
  float outwards = inside ? -1.0f : 1.0f;
  manifold.normal_x = normal_x * outwards;
  manifold.normal_y = normal_y * outwards;
  manifold.penetration = inside ? radius : radius - distance;
  manifold.x[0] = best_x;
  manifold.y[0] = best_y;
  manifold.points = inside || distance <= radius;
}

INLINE void collide_circles(const Geometry& geometry, int a, int b, Manifold& manifold) {
  float radius = geometry.radius[a - POLYGONS], normal_x, normal_y;
  float x = geometry.x[a], y = geometry.y[a];
  float distance = direction(geometry.x[b] - x, geometry.y[b] - y, normal_x, normal_y);
  manifold.normal_x = normal_x;
  manifold.normal_y = normal_y;
  manifold.penetration = radius + geometry.radius[b - POLYGONS] - distance;
  manifold.x[0] = x + normal_x * radius;
  manifold.y[0] = y + normal_y * radius;
  manifold.points = manifold.penetration > 0.0f;
}

INLINE bool may_touch(const Geometry& geometry, const Box& box, int mode, int other) {
  const Box& its = geometry.boxes[other];
  float gap_x = most(box.low_x - its.high_x, its.low_x - box.high_x);
  float gap_y = most(box.low_y - its.high_y, its.low_y - box.high_y);
  if (!(most(gap_x, gap_y) <= 0.0f)) return false;
  int its_mode = geometry.mode[other];
  return mode == 2 || its_mode == 2 || (mode == 1 && its_mode == 1);
}

// Lists the pairs of a kind (0: polygons, 1: circles with polygons, 2: circles) that may touch, in Kinetix's
// order, as a + 256 b, with a mark on the last pair of the kind; returns their number.
constexpr unsigned LAST_PAIR = 1u << 16;

INLINE int list_pairs(const Geometry& geometry, int kind, unsigned* pairs) {
  int count = 0;
  int first_a = kind == 0 ? 0 : POLYGONS, end_a = kind == 0 ? POLYGONS : BODIES;
#pragma unroll 1
  for (int a = first_a; a < end_a; a++) {
    int first_b = kind == 0 ? (a < WALLS ? WALLS : a + 1) : kind == 1 ? 0 : a + 1;
    int end_b = kind == 2 ? BODIES : POLYGONS;
    Box box = geometry.boxes[a];
    int mode = geometry.mode[a];
    bool is_last_a = kind == 1 ? a == BODIES - 1 : a == end_a - 2 || (kind == 0 && a == WALLS - 1);
#pragma unroll 1
    for (int b = first_b; b < end_b; b++) {
      if (!may_touch(geometry, box, mode, b)) continue;
      bool last = is_last_a && b == end_b - 1 && (kind != 0 || a >= WALLS || FREE_POLYGONS == 1);
      pairs[count++] = a | b << 8 | (last ? LAST_PAIR : 0);
    }
  }
  return count;
}

INLINE int triangular(int i, int j, int size) { return i * (2 * size - i - 1) / 2 + (j - i - 1); }

// Contact slot of a pair's first point; its second one is `stride` slots later.
INLINE int slot_of_pair(int kind, int a, int b, int& stride) {
  stride = a < WALLS ? WALL_PAIRS : LISTED_PAIRS;
  if (kind == 1) return FIRST_MIXED + b * CIRCLES + (a - POLYGONS);
  if (kind == 2) return FIRST_ROUND + triangular(a - POLYGONS, b - POLYGONS, CIRCLES);
  if (a < WALLS) return a * FREE_POLYGONS + (b - WALLS);
  return FIRST_LISTED + triangular(a - WALLS, b - WALLS, FREE_POLYGONS);
}

INLINE void find_manifold(const Geometry& geometry, int kind, int a, int b, Manifold& manifold) {
  if (kind == 0)
    collide_polygons(geometry.polygons[a], geometry.polygons[b], manifold);
  else if (kind == 1)
    collide_circle(
        geometry.x[a], geometry.y[a], geometry.radius[a - POLYGONS], geometry.polygons[b], manifold);
  else
    collide_circles(geometry, a, b, manifold);
}
