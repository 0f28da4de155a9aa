// Preprocess kernel: interleaved bytes in mapped memory -> planes in device memory. Each byte is read once and neighbours together,
// because an integrated GPU does not cache mapped memory. Normalisation stays in the network. One block layer (z) a picture.
#include <cuda_fp16.h>

template <typename T> __device__ T from_byte(unsigned char value);
template <> __device__ float from_byte<float>(unsigned char value) { return static_cast<float>(value); }
template <> __device__ __half from_byte<__half>(unsigned char value) { return __ushort2half_rn(value); }

template <typename T> __device__ void split(const unsigned char *from, T *to, int height, int width)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height)
        return;
    const size_t area = static_cast<size_t>(height) * width;
    const size_t cell = static_cast<size_t>(y) * width + x;
    from += 3 * area * blockIdx.z;
    to += 3 * area * blockIdx.z;
    for (int channel = 0; channel < 3; ++channel)
        to[channel * area + cell] = from_byte<T>(from[3 * cell + channel]);
}

extern "C" __global__ void planes_float32(const unsigned char *from, float *to, int height, int width) { split(from, to, height, width); }
extern "C" __global__ void planes_float16(const unsigned char *from, __half *to, int height, int width) { split(from, to, height, width); }
