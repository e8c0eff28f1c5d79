// Contacts as constraints (solver/prepare.py, solver/contacts.py, solver/order.py).

// A contact that is solved. Only such contacts are listed, so that sweeps touch little memory.
struct alignas(16) Contact {
  float normal_x, normal_y, arm_normal_a, arm_tangent_a;
  float arm_normal_b, arm_tangent_b, mass_normal, mass_tangent;
  float coupling, target_velocity, friction;
  unsigned code;  // body a + 256 * body b + 65536 * slot
  float normal, tangent;  // impulses since the step began
  float added_normal, added_tangent;

  MEMBER int a() const { return code & 255; }
  MEMBER int b() const { return code >> 8 & 255; }
  MEMBER int slot() const { return code >> 16; }
};

// In Kinetix's order joints may move the bodies between sweeps, which changes the arms and effective masses;
// fields of the latter then hold other things.
#define INVERSE_MASS(contact) (contact).mass_normal
#define GROUP(contact) (contact).mass_tangent
#define IS_LAST(contact) (contact).coupling

// A phase: contacts that are solved from the same velocities, but for groups. By kind and point.
constexpr int PHASES = 4;
struct Phase {
  Contact* contacts;
  int count, groups;
  bool reset_last;
};

INLINE int pairs_of_kind(int kind) { return kind == 0 ? POLYGON_PAIRS : kind == 1 ? MIXED_PAIRS : CIRCLE_PAIRS; }
INLINE int kind_of_phase(int phase) { return phase < 2 ? 0 : phase - 1; }
INLINE int first_of_phase(int phase) {
  return phase == 0 ? 0 : phase == 1 ? POLYGON_PAIRS : phase == 2 ? FIRST_MIXED : FIRST_ROUND;
}
INLINE int groups_of_kind(int kind) {
  return KINETIX_ORDER ? (pairs_of_kind(kind) + GROUP_SIZE - 1) / GROUP_SIZE : 1;
}

INLINE Phase phase_at(Contact* contacts, const int* counts, int phase) {
  int kind = kind_of_phase(phase);
  return {contacts + first_of_phase(phase), counts[phase], groups_of_kind(kind),
          KINETIX_ORDER && pairs_of_kind(kind) % GROUP_SIZE != 0};
}

// Fills in what is known of a contact when it is found.
INLINE void start_contact(
    const Arrays& arrays, const Place& place, const Geometry& geometry, Motion& motion, const Manifold& manifold,
    int point, int a, int b, int slot, Contact& contact) {
  float nx = manifold.normal_x, ny = manifold.normal_y;
  float ax = manifold.x[point] - geometry.x[a], ay = manifold.y[point] - geometry.y[a];
  float bx = manifold.x[point] - geometry.x[b], by = manifold.y[point] - geometry.y[b];
  contact.normal_x = nx;
  contact.normal_y = ny;
  contact.arm_normal_a = -(ax * ny - ay * nx);
  contact.arm_tangent_a = ax * nx + ay * ny;
  contact.arm_normal_b = bx * ny - by * nx;
  contact.arm_tangent_b = -(bx * nx + by * ny);
  float speed_a = motion.w(a) * contact.arm_normal_a - (motion.vx(a) * nx + motion.vy(a) * ny);
  float speed_b = motion.w(b) * contact.arm_normal_b + (motion.vx(b) * nx + motion.vy(b) * ny);
  float speed = (a < WALLS ? 0.0f : speed_a) + (b < WALLS ? 0.0f : speed_b);
  float restitution =
      least(load(arrays.restitution + place.at(BODIES, a)), load(arrays.restitution + place.at(BODIES, b)));
  float overlap = most(manifold.penetration - number(arrays, place, P_SLOP), 0.0f);
  float correction = number(arrays, place, P_CONTACT_BIAS) / number(arrays, place, P_DT) * overlap;
  float friction_a = load(arrays.friction + place.at(BODIES, a));
  float friction_b = load(arrays.friction + place.at(BODIES, b));
  contact.target_velocity = correction - restitution * speed;
  contact.friction = number(arrays, place, P_BASE_FRICTION) * sqrtf(friction_a * friction_a + friction_b * friction_b);
  contact.code = a | b << 8 | (unsigned)slot << 16;
  contact.normal = WARM_START ? arrays.contact_impulse[place.at(CONTACTS * 2, 2 * slot)] : 0.0f;
  contact.tangent = WARM_START ? arrays.contact_impulse[place.at(CONTACTS * 2, 2 * slot + 1)] : 0.0f;
}

INLINE void set_masses(Contact& contact, float inverse_mass, float inertia_a, float inertia_b) {
  float na = contact.arm_normal_a, nb = contact.arm_normal_b, ta = contact.arm_tangent_a, tb = contact.arm_tangent_b;
  contact.mass_normal = inverse_mass + (inertia_a * (na * na) + inertia_b * (nb * nb));
  contact.mass_tangent = inverse_mass + (inertia_a * (ta * ta) + inertia_b * (tb * tb));
  contact.coupling = inertia_a * na * ta + inertia_b * nb * tb;
}

// Computes the effective masses of a phase's contacts, a body's mass split among its contacts.
INLINE void split_masses(const Phase& phase, Motion& motion) {
  unsigned char counts[BODIES];
  bool many = phase.count > 2;  // else no body can have more than two
  if (many) {
#pragma unroll 4
    for (int i = 0; i < BODIES; i++) counts[i] = 0;
#pragma unroll 1
    for (int i = 0; i < phase.count; i++) {
      counts[phase.contacts[i].a()]++;
      counts[phase.contacts[i].b()]++;
    }
  }
#pragma unroll 1
  for (int i = 0; i < phase.count; i++) {
    Contact& contact = phase.contacts[i];
    int a = contact.a(), b = contact.b();
    float share_a = many ? most((float)counts[a], 2.0f) / 2.0f : 1.0f;
    float share_b = many ? most((float)counts[b], 2.0f) / 2.0f : 1.0f;
    bool moves_a = a >= WALLS, moves_b = b >= WALLS;
    float mass_a = moves_a ? motion.mass(a) * share_a : 0.0f, mass_b = moves_b ? motion.mass(b) * share_b : 0.0f;
    float inertia_a = moves_a ? motion.inertia(a) * share_a : 0.0f;
    float inertia_b = moves_b ? motion.inertia(b) * share_b : 0.0f;
    set_masses(contact, nonzero(mass_a + mass_b), inertia_a, inertia_b);
  }
}

// Moves the ends of a contact's arms to where joints have moved the bodies meanwhile.
INLINE void shift_arms(Contact& contact, Motion& motion) {
  int a = contact.a(), b = contact.b();
  float nx = contact.normal_x, ny = contact.normal_y;
  contact.arm_normal_a += motion.dx(a) * ny - motion.dy(a) * nx;
  contact.arm_tangent_a -= motion.dx(a) * nx + motion.dy(a) * ny;
  contact.arm_normal_b -= motion.dx(b) * ny - motion.dy(b) * nx;
  contact.arm_tangent_b += motion.dx(b) * nx + motion.dy(b) * ny;
}

INLINE void apply_contact(const Contact& contact, Motion& motion, float normal, float tangent) {
  int a = contact.a(), b = contact.b();
  float nx = contact.normal_x, ny = contact.normal_y;
  float jx = normal * nx + tangent * ny, jy = normal * ny - tangent * nx;
  float mass_a = motion.mass(a), mass_b = motion.mass(b);
  motion.vx(a) -= mass_a * jx;
  motion.vy(a) -= mass_a * jy;
  motion.w(a) += motion.inertia(a) * (normal * contact.arm_normal_a + tangent * contact.arm_tangent_a);
  motion.vx(b) += mass_b * jx;
  motion.vy(b) += mass_b * jy;
  motion.w(b) += motion.inertia(b) * (normal * contact.arm_normal_b + tangent * contact.arm_tangent_b);
}

INLINE void solve_contact(Contact& stored, Motion& motion) {
  Contact contact = stored;
  int a = contact.a(), b = contact.b();
  if (KINETIX_ORDER) {
    shift_arms(contact, motion);
    set_masses(contact, INVERSE_MASS(stored), motion.inertia(a), motion.inertia(b));
  }
  float nx = contact.normal_x, ny = contact.normal_y, wa = motion.w(a), wb = motion.w(b);
  float vx_a = motion.vx(a), vy_a = motion.vy(a), vx_b = motion.vx(b), vy_b = motion.vy(b);
  float speed_normal = (wa * contact.arm_normal_a - (vx_a * nx + vy_a * ny)) +
                       (wb * contact.arm_normal_b + (vx_b * nx + vy_b * ny));
  float speed_tangent = (wa * contact.arm_tangent_a - (vx_a * ny - vy_a * nx)) +
                        (wb * contact.arm_tangent_b + (vx_b * ny - vy_b * nx));
  float wanted = contact.target_velocity - speed_normal, lowest = -contact.normal * contact.mass_normal;
  float normal = most(wanted, lowest) / contact.mass_normal;
  float speed = speed_tangent + normal * contact.coupling;
  float limit = contact.friction * (contact.normal + normal);
  float low = (-limit - contact.tangent) * contact.mass_tangent;
  float high = (limit - contact.tangent) * contact.mass_tangent;
  float tangent = clip(-speed, low, high) / contact.mass_tangent;
  stored.added_normal = normal;
  stored.added_tangent = tangent;
  stored.normal = most(contact.normal + normal, 0.0f);
  stored.tangent = contact.tangent + tangent;
}

// Solves the contacts of one phase once, group after group.
INLINE void solve_phase(const Phase& phase, Motion& motion) {
#pragma unroll 1
  for (int group = 0; group < phase.groups; group++) {
    bool all = phase.groups == 1;
#pragma unroll 1
    for (int i = 0; i < phase.count; i++)
      if (all || GROUP(phase.contacts[i]) == (float)group) solve_contact(phase.contacts[i], motion);
#pragma unroll 1
    for (int i = 0; i < phase.count; i++) {
      if (!all && GROUP(phase.contacts[i]) != (float)group) continue;
      Contact contact = phase.contacts[i];
      if (KINETIX_ORDER) shift_arms(contact, motion);
      apply_contact(contact, motion, contact.added_normal, contact.added_tangent);
    }
  }
  if (!phase.reset_last) return;
#pragma unroll 1
  for (int i = 0; i < phase.count; i++)
    if (IS_LAST(phase.contacts[i]) != 0.0f) phase.contacts[i].normal = phase.contacts[i].tangent = 0.0f;
}
