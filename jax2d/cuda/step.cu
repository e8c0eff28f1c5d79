// The entry point: all of a step (pipeline.py, solver/loop.py), or a report of the contacts before it.

INLINE bool may_push(const Geometry& geometry, Motion& motion, int a, int b) {
  return motion.mass(a) + motion.mass(b) > 0.0f && geometry.label[a] != geometry.label[b];
}

// Finds the contacts, reports which there are, and lists those that push; `counts` by phase.
INLINE void find_contacts(
    const Arrays& arrays, const Place& place, const Geometry& geometry, Motion& motion, Contact* contacts,
    int* counts) {
#pragma unroll 4
  for (int slot = 0; slot < CONTACTS; slot++) {
    arrays.out_active[place.at(CONTACTS, slot)] = false;
    arrays.out_pushing[place.at(CONTACTS, slot)] = false;
  }
  unsigned pairs[AT_LEAST_1(LARGEST_KIND)];
#pragma unroll 1
  for (int kind = 0; kind < 3; kind++) {
    int candidates = list_pairs(geometry, kind, pairs), active = 0, phase = kind == 0 ? 0 : kind + 1;
    Contact* first = contacts + first_of_phase(phase);
    Contact* second = contacts + first_of_phase(1);
    int of_first = 0, of_second = 0;
#pragma unroll 1
    for (int i = 0; i < candidates; i++) {
      int a = pairs[i] & 255, b = pairs[i] >> 8 & 255, stride;
      Manifold manifold;
      find_manifold(geometry, kind, a, b, manifold);
      if (manifold.points == 0) continue;
      bool pushing = may_push(geometry, motion, a, b);
      int slot = slot_of_pair(kind, a, b, stride);
#pragma unroll 1
      for (int point = 0; point < manifold.points; point++) {
        int here = slot + point * stride;
        arrays.out_active[place.at(CONTACTS, here)] = true;
        arrays.out_pushing[place.at(CONTACTS, here)] = pushing;
        if (!pushing) continue;
        Contact& contact = point ? second[of_second++] : first[of_first++];
        start_contact(arrays, place, geometry, motion, manifold, point, a, b, here, contact);
        if (KINETIX_ORDER) {
          GROUP(contact) = (float)active;  // its rank, until it is known how many there are
          IS_LAST(contact) = pairs[i] & LAST_PAIR ? 1.0f : 0.0f;
        }
      }
      active++;
    }
    counts[phase] = of_first;
    if (kind == 0) counts[1] = of_second;
#pragma unroll 1
    for (int point = 0; point < (kind == 0 ? 2 : 1); point++) {
      Phase here = phase_at(contacts, counts, phase + point);
      if (!KINETIX_ORDER) split_masses(here, motion);
#pragma unroll 1
      for (int i = 0; i < here.count && KINETIX_ORDER; i++) {
        Contact& contact = here.contacts[i];
        int a = contact.a(), b = contact.b();
        float mass = (a < WALLS ? 0.0f : motion.mass(a)) + (b < WALLS ? 0.0f : motion.mass(b));
        INVERSE_MASS(contact) = nonzero(mass);
        GROUP(contact) = (float)((pairs_of_kind(kind) - active + (int)GROUP(contact)) % here.groups);
      }
    }
  }
}

// Hands on the walls as they are; in what follows nothing can move them.
INLINE void finish_walls(const Arrays& arrays, const Place& place, const Geometry& geometry, Motion& motion) {
#pragma unroll 4
  for (int i = 0; i < WALLS; i++) {
    arrays.out_position[place.at(BODIES * 2, 2 * i)] = geometry.x[i];
    arrays.out_position[place.at(BODIES * 2, 2 * i + 1)] = geometry.y[i];
    arrays.out_rotation[place.at(BODIES, i)] = arrays.rotation[place.at(BODIES, i)];
    arrays.out_velocity[place.at(BODIES * 2, 2 * i)] = motion.vx(i);
    arrays.out_velocity[place.at(BODIES * 2, 2 * i + 1)] = motion.vy(i);
    arrays.out_angular_velocity[place.at(BODIES, i)] = motion.w(i);
    for (int row = 0; row < MOTION_ROWS; row++) motion.at(row, i) = 0.0f;
  }
}

INLINE void finish_bodies(const Arrays& arrays, const Place& place, const Geometry& geometry, Motion& motion) {
  float dt = number(arrays, place, P_DT), far = number(arrays, place, P_MAX_POSITION);
  float fast = number(arrays, place, P_MAX_VELOCITY), spin = number(arrays, place, P_MAX_ANGULAR_VELOCITY);
#pragma unroll 4
  for (int i = WALLS; i < BODIES; i++) {
    float vx = motion.vx(i), vy = motion.vy(i), w = motion.w(i);
    float x = geometry.x[i] + motion.dx(i) + vx * dt, y = geometry.y[i] + motion.dy(i) + vy * dt;
    arrays.out_position[place.at(BODIES * 2, 2 * i)] = clip(x, -far, far);
    arrays.out_position[place.at(BODIES * 2, 2 * i + 1)] = clip(y, -far, far);
    arrays.out_rotation[place.at(BODIES, i)] = arrays.rotation[place.at(BODIES, i)] + w * dt;
    arrays.out_velocity[place.at(BODIES * 2, 2 * i)] = clip(vx, -fast, fast);
    arrays.out_velocity[place.at(BODIES * 2, 2 * i + 1)] = clip(vy, -fast, fast);
    arrays.out_angular_velocity[place.at(BODIES, i)] = clip(w, -spin, spin);
  }
}

INLINE void finish_joints(const Arrays& arrays, const Place& place, const Joint* joints, int count) {
  float linear = 2.0f * SOLVER_VELOCITY_MARGIN * number(arrays, place, P_MAX_VELOCITY);
  float turning = 2.0f * SOLVER_VELOCITY_MARGIN * number(arrays, place, P_MAX_ANGULAR_VELOCITY);
#pragma unroll 4
  for (int row = 0; row < JOINTS * 3; row++) arrays.out_joint_impulse[place.at(JOINTS * 3, row)] = 0.0f;
#pragma unroll 1
  for (int i = 0; i < count; i++) {
    const Joint& joint = joints[i];
    float bound = linear / joint.mass, angular_bound = turning / joint.inertia;
    unsigned row = 3 * joint.slot;
    arrays.out_joint_impulse[place.at(JOINTS * 3, row)] = clip(joint.x, -bound, bound);
    arrays.out_joint_impulse[place.at(JOINTS * 3, row + 1)] = clip(joint.y, -bound, bound);
    arrays.out_joint_impulse[place.at(JOINTS * 3, row + 2)] = clip(joint.angular, -angular_bound, angular_bound);
  }
}

INLINE void finish_contacts(const Arrays& arrays, const Place& place, Contact* contacts, const int* counts) {
#pragma unroll 8
  for (int row = 0; row < CONTACTS * 2; row++) arrays.out_contact_impulse[place.at(CONTACTS * 2, row)] = 0.0f;
#pragma unroll 1
  for (int phase = 0; phase < PHASES; phase++)
#pragma unroll 1
    for (int i = 0; i < counts[phase]; i++) {
      const Contact& contact = contacts[first_of_phase(phase) + i];
      arrays.out_contact_impulse[place.at(CONTACTS * 2, 2 * contact.slot())] = contact.normal;
      arrays.out_contact_impulse[place.at(CONTACTS * 2, 2 * contact.slot() + 1)] = contact.tangent;
    }
}

INLINE void step_scene(const Arrays& arrays, const Place& place, Motion& motion) {
  Geometry geometry;
  Contact contacts[AT_LEAST_1(CONTACTS)];
  Joint joints[AT_LEAST_1(JOINTS)];
  int counts[PHASES];
  start_motion(arrays, place, motion);
  find_geometry(arrays, place, geometry);
  label_components(arrays, place, geometry);
  find_contacts(arrays, place, geometry, motion, contacts, counts);
  int num_joints = prepare_joints(arrays, place, geometry, motion, joints);
  run_thrusters(arrays, place, geometry, motion);
  finish_walls(arrays, place, geometry, motion);
  if (WARM_START) {
#pragma unroll 1
    for (int phase = 0; phase < PHASES; phase++)
#pragma unroll 1
      for (int i = 0; i < counts[phase]; i++) {
        const Contact& contact = contacts[first_of_phase(phase) + i];
        apply_contact(contact, motion, contact.normal, contact.tangent);
      }
#pragma unroll 1
    for (int j = 0; j < num_joints; j++)
      apply_joint(joints[j], motion, joints[j].x, joints[j].y, joints[j].angular, 0.0f, 0.0f);
  }
  float fast = number(arrays, place, P_MAX_VELOCITY), spin = number(arrays, place, P_MAX_ANGULAR_VELOCITY);
  JointNumbers numbers = {
      number(arrays, place, P_JOINT_VELOCITY_BIAS), number(arrays, place, P_JOINT_POSITION_CORRECTION),
      number(arrays, place, P_JOINT_STIFFNESS), 2.0f * SOLVER_VELOCITY_MARGIN * fast};
#pragma unroll 1
  for (int sweep = 0; sweep < ITERATIONS; sweep++) {
#pragma unroll 1
    for (int j = 0; j < num_joints; j++) solve_joint(joints[j], motion, numbers);
    bound_velocities(motion, SOLVER_VELOCITY_MARGIN * fast, SOLVER_VELOCITY_MARGIN * spin);
#pragma unroll 1
    for (int phase = 0; phase < PHASES; phase++) solve_phase(phase_at(contacts, counts, phase), motion);
  }
  finish_bodies(arrays, place, geometry, motion);
  finish_joints(arrays, place, joints, num_joints);
  finish_contacts(arrays, place, contacts, counts);
}

// Where the active contacts of a scene are; zeros elsewhere.
INLINE void report_scene(const Arrays& arrays, const Place& place) {
  Geometry geometry;
  unsigned pairs[AT_LEAST_1(LARGEST_KIND)];
  find_geometry(arrays, place, geometry);
#pragma unroll 8
  for (int row = 0; row < CONTACTS * 2; row++) {
    arrays.out_normal[place.at(CONTACTS * 2, row)] = 0.0f;
    arrays.out_point[place.at(CONTACTS * 2, row)] = 0.0f;
    if (row < CONTACTS) arrays.out_penetration[place.at(CONTACTS, row)] = 0.0f;
  }
#pragma unroll 1
  for (int kind = 0; kind < 3; kind++) {
    int candidates = list_pairs(geometry, kind, pairs);
#pragma unroll 1
    for (int i = 0; i < candidates; i++) {
      int a = pairs[i] & 255, b = pairs[i] >> 8 & 255, stride;
      Manifold manifold;
      find_manifold(geometry, kind, a, b, manifold);
      int slot = slot_of_pair(kind, a, b, stride);
#pragma unroll 1
      for (int point = 0; point < manifold.points; point++) {
        int here = slot + point * stride;
        arrays.out_normal[place.at(CONTACTS * 2, 2 * here)] = manifold.normal_x;
        arrays.out_normal[place.at(CONTACTS * 2, 2 * here + 1)] = manifold.normal_y;
        arrays.out_point[place.at(CONTACTS * 2, 2 * here)] = manifold.x[point];
        arrays.out_point[place.at(CONTACTS * 2, 2 * here + 1)] = manifold.y[point];
        arrays.out_penetration[place.at(CONTACTS, here)] = manifold.penetration;
      }
    }
  }
}

INLINE void visit_scene(const Arrays& arrays, unsigned scene, float* numbers) {
  Place place = {scene, (unsigned)arrays.sizes[0]};
#if REPORT
  report_scene(arrays, place);
#else
  Motion motion = {numbers};
  step_scene(arrays, place, motion);
#endif
}

#ifdef __CUDACC_RTC__
ENTRY jax2d_kernel(PARAMETERS) {
  Arrays arrays = {ARGUMENTS};
#if SHARED_MOTION
  __shared__ float shared[MOTION_ROWS * BODIES * BLOCK];
  float* numbers = shared + threadIdx.x;
#else
  float numbers[MOTION_ROWS * BODIES];
#endif
  unsigned scene = blockIdx.x * BLOCK + threadIdx.x;
  if (scene < (unsigned)arrays.sizes[0]) visit_scene(arrays, scene, numbers);
}
#else
ENTRY jax2d_kernel(PARAMETERS) {
  Arrays arrays = {ARGUMENTS};
  float numbers[MOTION_ROWS * BODIES];
  for (unsigned scene = 0; scene < (unsigned)arrays.sizes[0]; scene++) visit_scene(arrays, scene, numbers);
}
#endif
