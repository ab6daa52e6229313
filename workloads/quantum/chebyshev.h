/* Weights of the Chebyshev expansion of a propagator (Tal-Ezer and Kosloff 1984), for kernels of the dialect:
 *   e^{-i Ham dt} = sum_{k < terms} weight_k (-i)^k T_k(Ham/Jh),  weight_k = (2 - [k = 0]) BesJ_k(z),  z = Jh dt.
 *
 * BesJ_k by Miller's downward recurrence, J_{k-1} = (2k/z) J_k - J_{k+1}, and the sum J_0 + 2 J_2 + 2 J_4 + ... = 1.
 * Rejected: the power series, whose terms cancel where z is large, and the recurrence upward, which is unstable for k >
 * z.
 */
#ifndef WARPWRIGHT_WORKLOADS_CHEBYSHEV_H
#define WARPWRIGHT_WORKLOADS_CHEBYSHEV_H

/* `weights`: `terms` floats, written by one thread. POINTER is their address space: WW_GLOBAL or WW_SHARED_POINTER. */
#define CHEBYSHEV_WEIGHTS(name, POINTER)                                                               \
  WW_DEVICE void name(POINTER float* weights, int terms, float z) {                                    \
    const float size = WW_FABS(z);                                                                     \
    if (!(size > 1e-9f)) { /* nothing moves */                                                         \
      for (int k = 0; k < terms; ++k) weights[k] = k == 0 ? 1.0f : 0.0f;                               \
      return;                                                                                          \
    }                                                                                                  \
    const float ratio = 2.0f / size;                                                                   \
    float above = 0.0f;                                                                                \
    float at = 1e-30f;                                                                                 \
    float sum = 0.0f;                                                                                  \
    /* Beyond max(terms, z) by as much as the last digit needs. */                                     \
    for (int k = 2 * ((terms + 2 * (int)size) / 2 + 8); k >= 0; --k) {                                 \
      if (k < terms) weights[k] = at;                                                                  \
      if (k % 2 == 0) sum += k == 0 ? at : 2.0f * at;                                                  \
      const float below = (float)k * ratio * at - above;                                               \
      above = at;                                                                                      \
      at = below;                                                                                      \
      if (WW_FABS(at) > 1e12f) { /* one step multiplies by 2k/z at most: far from the largest float */ \
        at *= 1e-24f;                                                                                  \
        above *= 1e-24f;                                                                               \
        sum *= 1e-24f;                                                                                 \
        for (int stored = k; stored < terms; ++stored) weights[stored] *= 1e-24f;                      \
      }                                                                                                \
    }                                                                                                  \
    /* BesJ_k(-z) = (-1)^k BesJ_k(z). */                                                               \
    for (int k = 0; k < terms; ++k) {                                                                  \
      weights[k] *= (k == 0 ? 1.0f : z < 0.0f && k % 2 == 1 ? -2.0f : 2.0f) / sum;                     \
    }                                                                                                  \
  }

#endif /* WARPWRIGHT_WORKLOADS_CHEBYSHEV_H */
