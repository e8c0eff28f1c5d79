// Bodies in motion, motors, thrusters and joints (solver/actuators.py, solver/joints.py).

constexpr float SOLVER_VELOCITY_MARGIN = 10.0f;
constexpr int MOTION_ROWS = 7;

// The motion of all bodies of one scene. Bodies that contacts and joints name differ from lane to lane, so it
// lies in shared memory, where every lane has a bank of its own.
struct Motion {
  float* numbers;

  MEMBER float& at(int row, int body) { return numbers[(row * BODIES + body) * MOTION_STRIDE]; }
  MEMBER float& vx(int body) { return at(0, body); }
  MEMBER float& vy(int body) { return at(1, body); }
  MEMBER float& w(int body) { return at(2, body); }
  MEMBER float& dx(int body) { return at(3, body); }  // displacement by joints since the step began
  MEMBER float& dy(int body) { return at(4, body); }
  MEMBER float& mass(int body) { return at(5, body); }  // inverse
  MEMBER float& inertia(int body) { return at(6, body); }  // inverse
};

struct Joint {
  float arm_ax, arm_ay, arm_bx, arm_by;
  float mass_a, mass_b, inertia_a, inertia_b;  // inverses; 0 for a wall
  float error_x, error_y, mass, inertia;
  float angular_bias, x, y, angular;  // the last three: impulses since the step began
  int a, b, slot;
  bool weld;
};

INLINE void start_motion(const Arrays& arrays, const Place& place, Motion& motion) {
  float dt = number(arrays, place, P_DT);
  float change_x = load(arrays.gravity + place.at(2, 0)) * dt, change_y = load(arrays.gravity + place.at(2, 1)) * dt;
#pragma unroll 4
  for (int i = 0; i < BODIES; i++) {
    float mass = load(arrays.inverse_mass + place.at(BODIES, i));
    float vx = arrays.velocity[place.at(BODIES * 2, 2 * i)];
    float vy = arrays.velocity[place.at(BODIES * 2, 2 * i + 1)];
    motion.vx(i) = mass != 0.0f ? vx + change_x : vx;
    motion.vy(i) = mass != 0.0f ? vy + change_y : vy;
    motion.w(i) = arrays.angular_velocity[place.at(BODIES, i)];
    motion.dx(i) = 0.0f;
    motion.dy(i) = 0.0f;
    motion.mass(i) = mass;
    motion.inertia(i) = load(arrays.inverse_inertia + place.at(BODIES, i));
  }
}

// Angular impulse of a motor on body a.
INLINE float motor_impulse(
    const Arrays& arrays, const Place& place, int j, float relative_rotation, float relative_spin, float inertia) {
  float action = load(arrays.actions + place.at(JOINTS + THRUSTERS, j));
  bool on = load(arrays.joints_motor_on + place.at(JOINTS, j)) && !load(arrays.joints_weld + place.at(JOINTS, j));
  if (!on || action == 0.0f) return 0.0f;
  float speed = load(arrays.joints_motor_speed + place.at(JOINTS, j));
  float error = relative_spin - speed * action * number(arrays, place, P_BASE_MOTOR_SPEED);
  float strength = number(arrays, place, P_BASE_MOTOR_POWER) * load(arrays.joints_motor_power + place.at(JOINTS, j)) *
                   number(arrays, place, P_DT) * tanhf(number(arrays, place, P_MOTOR_DECAY) * error);
  if (load(arrays.joints_limits_on + place.at(JOINTS, j))) {
    float margin = number(arrays, place, P_MOTOR_LIMIT_MARGIN);
    float low = load(arrays.joints_min_rotation + place.at(JOINTS, j)) + margin;
    float high = load(arrays.joints_max_rotation + place.at(JOINTS, j)) - margin;
    float over = relative_rotation - clip(relative_rotation, low, high);
    if (over * action > 0.0f) strength *= most(1.0f - fabsf(over) / margin, 0.0f);
  }
  return strength / nonzero(inertia);
}

// Prepares the active joints and runs their motors; returns their number.
INLINE int prepare_joints(
    const Arrays& arrays, const Place& place, const Geometry& geometry, Motion& motion, Joint* joints) {
  int count = 0;
#pragma unroll 1
  for (int j = 0; j < JOINTS; j++) {
    if (!load(arrays.joints_active + place.at(JOINTS, j))) continue;
    Joint joint;
    int a = body_at(arrays.joints_body_a, place, JOINTS, j), b = body_at(arrays.joints_body_b, place, JOINTS, j);
    joint.a = a;
    joint.b = b;
    joint.slot = j;
    float ax = load(arrays.joints_anchor_a + place.at(JOINTS * 2, 2 * j));
    float ay = load(arrays.joints_anchor_a + place.at(JOINTS * 2, 2 * j + 1));
    float bx = load(arrays.joints_anchor_b + place.at(JOINTS * 2, 2 * j));
    float by = load(arrays.joints_anchor_b + place.at(JOINTS * 2, 2 * j + 1));
    joint.arm_ax = geometry.cos[a] * ax - geometry.sin[a] * ay;
    joint.arm_ay = geometry.sin[a] * ax + geometry.cos[a] * ay;
    joint.arm_bx = geometry.cos[b] * bx - geometry.sin[b] * by;
    joint.arm_by = geometry.sin[b] * bx + geometry.cos[b] * by;
    joint.error_x = (geometry.x[b] + joint.arm_bx) - (geometry.x[a] + joint.arm_ax);
    joint.error_y = (geometry.y[b] + joint.arm_by) - (geometry.y[a] + joint.arm_ay);
    joint.mass_a = a < WALLS ? 0.0f : motion.mass(a);
    joint.mass_b = b < WALLS ? 0.0f : motion.mass(b);
    joint.inertia_a = a < WALLS ? 0.0f : motion.inertia(a);
    joint.inertia_b = b < WALLS ? 0.0f : motion.inertia(b);
    joint.mass = nonzero(joint.mass_a + joint.mass_b);
    joint.inertia = nonzero(joint.inertia_a + joint.inertia_b);
    joint.weld = load(arrays.joints_weld + place.at(JOINTS, j));
    float rotation = arrays.rotation[place.at(BODIES, b)] - arrays.rotation[place.at(BODIES, a)] -
                     load(arrays.joints_reference_rotation + place.at(JOINTS, j));
    joint.angular_bias = 0.0f;
    if (joint.weld) {
      joint.angular_bias = number(arrays, place, P_FIXED_JOINT_ANGULAR_BIAS) * rotation;
    } else if (load(arrays.joints_limits_on + place.at(JOINTS, j))) {
      float low = load(arrays.joints_min_rotation + place.at(JOINTS, j));
      float high = load(arrays.joints_max_rotation + place.at(JOINTS, j));
      float beyond = rotation - clip(rotation, low, high);
      joint.angular_bias = number(arrays, place, P_JOINT_LIMIT_ANGULAR_BIAS) * beyond;
    }
    // All motors read the same velocities: the impulse waits in the place of the joint's own.
    joint.x = motor_impulse(
        arrays, place, j, rotation, motion.w(b) - motion.w(a), motion.inertia(a) + motion.inertia(b));
    joints[count++] = joint;
  }
#pragma unroll 1
  for (int i = 0; i < count; i++) {
    Joint& joint = joints[i];
    motion.w(joint.a) += motion.inertia(joint.a) * joint.x;
    motion.w(joint.b) -= motion.inertia(joint.b) * joint.x;
    unsigned row = 3 * joint.slot;
    joint.x = WARM_START ? arrays.joint_impulse[place.at(JOINTS * 3, row)] : 0.0f;
    joint.y = WARM_START ? arrays.joint_impulse[place.at(JOINTS * 3, row + 1)] : 0.0f;
    joint.angular = WARM_START ? arrays.joint_impulse[place.at(JOINTS * 3, row + 2)] : 0.0f;
  }
  return count;
}

INLINE void run_thrusters(const Arrays& arrays, const Place& place, const Geometry& geometry, Motion& motion) {
  float base = number(arrays, place, P_BASE_THRUSTER_POWER), dt = number(arrays, place, P_DT);
#pragma unroll 1
  for (int t = 0; t < THRUSTERS; t++) {
    if (!load(arrays.thrusters_active + place.at(THRUSTERS, t))) continue;
    int body = body_at(arrays.thrusters_body, place, THRUSTERS, t);
    float action = load(arrays.actions + place.at(JOINTS + THRUSTERS, JOINTS + t));
    float size = load(arrays.thrusters_power + place.at(THRUSTERS, t)) * base * action * dt;
    float angle = load(arrays.thrusters_direction + place.at(THRUSTERS, t));
    float anchor_x = load(arrays.thrusters_anchor + place.at(THRUSTERS * 2, 2 * t));
    float anchor_y = load(arrays.thrusters_anchor + place.at(THRUSTERS * 2, 2 * t + 1));
    float along_x = cosf(angle), along_y = sinf(angle), c = geometry.cos[body], s = geometry.sin[body];
    float jx = size * (c * along_x - s * along_y), jy = size * (s * along_x + c * along_y);
    float arm_x = c * anchor_x - s * anchor_y, arm_y = s * anchor_x + c * anchor_y;
    motion.vx(body) += motion.mass(body) * jx;
    motion.vy(body) += motion.mass(body) * jy;
    motion.w(body) += motion.inertia(body) * cross(arm_x, arm_y, jx, jy);
  }
}

INLINE void apply_joint(
    const Joint& joint, Motion& motion, float x, float y, float angular, float shift_x, float shift_y) {
  int a = joint.a, b = joint.b;
  motion.vx(a) += joint.mass_a * x;
  motion.vy(a) += joint.mass_a * y;
  motion.w(a) += joint.inertia_a * (cross(joint.arm_ax, joint.arm_ay, x, y) + angular);
  motion.dx(a) += joint.mass_a * shift_x;
  motion.dy(a) += joint.mass_a * shift_y;
  motion.vx(b) -= joint.mass_b * x;
  motion.vy(b) -= joint.mass_b * y;
  motion.w(b) += joint.inertia_b * (-cross(joint.arm_bx, joint.arm_by, x, y) - angular);
  motion.dx(b) -= joint.mass_b * shift_x;
  motion.dy(b) -= joint.mass_b * shift_y;
}

struct JointNumbers {
  float velocity_bias, position_correction, stiffness, bound;
};

INLINE void solve_joint(Joint& stored, Motion& motion, const JointNumbers& numbers) {
  Joint joint = stored;
  int a = joint.a, b = joint.b;
  float vx = motion.vx(b) - motion.vx(a), vy = motion.vy(b) - motion.vy(a);
  float dx = motion.dx(b) - motion.dx(a), dy = motion.dy(b) - motion.dy(a);
  float wa = motion.w(a), wb = motion.w(b), mass = joint.mass;
  float error_x = (joint.error_x + dx) / mass, error_y = (joint.error_y + dy) / mass;
  float shared_ax = joint.arm_ax + joint.mass_a * error_x, shared_ay = joint.arm_ay + joint.mass_a * error_y;
  float shared_bx = joint.arm_bx - joint.mass_b * error_x, shared_by = joint.arm_by - joint.mass_b * error_y;
  float ux = clip(vx - wb * shared_by + wa * shared_ay, -numbers.bound, numbers.bound) / mass;
  float uy = clip(vy + wb * shared_bx - wa * shared_ax, -numbers.bound, numbers.bound) / mass;
  float turn_a = cross(joint.arm_ax, joint.arm_ay, ux, uy), turn_b = cross(joint.arm_bx, joint.arm_by, ux, uy);
  float turning = turn_a * turn_a * joint.inertia_a + turn_b * turn_b * joint.inertia_b;
  float scale = numbers.stiffness / (1.0f + turning / (mass * nonzero(ux * ux + uy * uy)));
  float jx = scale * (ux + numbers.velocity_bias * error_x), jy = scale * (uy + numbers.velocity_bias * error_y);
  float relative_spin = wb - joint.inertia_b * cross(joint.arm_bx, joint.arm_by, jx, jy) - wa -
                        joint.inertia_a * cross(joint.arm_ax, joint.arm_ay, jx, jy);
  bool stops = joint.weld || relative_spin * joint.angular_bias > 0.0f;
  float angular = stops ? (relative_spin + joint.angular_bias) / joint.inertia : 0.0f;
  float correction = numbers.position_correction;
  apply_joint(joint, motion, jx, jy, angular, correction * error_x, correction * error_y);
  stored.x = joint.x + jx;
  stored.y = joint.y + jy;
  if (joint.weld) stored.angular = joint.angular + angular;
}

INLINE void bound_velocities(Motion& motion, float linear, float angular) {
#pragma unroll 4
  for (int i = WALLS; i < BODIES; i++) {
    motion.vx(i) = clip(motion.vx(i), -linear, linear);
    motion.vy(i) = clip(motion.vy(i), -linear, linear);
    motion.w(i) = clip(motion.w(i), -angular, angular);
  }
}
