// A separable filter of 5 x 5 on an image: the sampler repeats the pixels at the edges.
__kernel void smooth(__read_only image2d_t picture, sampler_t look, __constant float* weights,
                     __write_only image2d_t smoothed, int width, int height) {
  const int first = get_group_id(0) * block_x * pixels + get_local_id(0);
  const int y = get_global_id(1);
  if (y >= height) return;
  for (int p = 0; p < pixels; ++p) {
    const int x = first + p * block_x;
    if (x >= width) return;
    float4 sum = (float4)(0.0f);
#pragma unroll unrolled
    for (int dy = 0; dy < 5; ++dy) {
      float4 row = (float4)(0.0f);
#pragma unroll unrolled
      for (int dx = 0; dx < 5; ++dx) row += weights[dx] * read_imagef(picture, look, (int2)(x + dx - 2, y + dy - 2));
      sum += weights[dy] * row;
    }
    write_imagef(smoothed, (int2)(x, y), sum);
  }
}
