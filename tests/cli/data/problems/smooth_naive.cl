// One pixel a work item, all 25 products, and the edges by hand: no sampler is passed.
__constant sampler_t exact = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_NONE | CLK_FILTER_NEAREST;

__kernel void naive(__constant float* weights, __read_only image2d_t picture, __write_only image2d_t smoothed) {
  const int x = get_global_id(0), y = get_global_id(1);
  const int right = get_image_width(picture) - 1, bottom = get_image_height(picture) - 1;
  float4 sum = (float4)(0.0f);
  for (int i = 0; i < 25; ++i) {
    const int2 at = (int2)(clamp(x + i % 5 - 2, 0, right), clamp(y + i / 5 - 2, 0, bottom));
    sum += weights[i % 5] * weights[i / 5] * read_imagef(picture, exact, at);
  }
  write_imagef(smoothed, (int2)(x, y), sum);
}
