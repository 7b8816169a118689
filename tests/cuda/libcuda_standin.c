/* What stands in for NVIDIA's driver where there is none, so that cuDNN can plan graphs and compile them for a GPU that is only described.
   Loading a compiled module seems to succeed; nothing can be run: all other functions answer CUDA_ERROR_NO_DEVICE. For tests only:
   test_cudnn_plans.py compiles it into a temporary folder. */
#include <stddef.h>

enum { SUCCESS = 0, NO_DEVICE = 100 };

static char something; /* what handles point to */
static long loaded;

long standin_modules_loaded(void) { return loaded; }

int cuDriverGetVersion(int *version) { *version = 0; return SUCCESS; }
int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_NO_DEVICE"; return SUCCESS; }
int cuGetErrorString(int error, const char **text) { *text = "this is no driver, there is no device"; return SUCCESS; }

int cuModuleLoadData(void **module, const void *image) { *module = &something; ++loaded; return SUCCESS; }
int cuModuleGetFunction(void **function, void *module, const char *name) { *function = &something; return SUCCESS; }
int cuModuleUnload(void *module) { return SUCCESS; }
int cuLibraryLoadData(void **library, const void *code, void *a, void *b, unsigned n, void *c, void *d, unsigned m) {
    *library = &something; ++loaded; return SUCCESS;
}
int cuLibraryGetKernel(void **kernel, void *library, const char *name) { *kernel = &something; return SUCCESS; }
int cuLibraryUnload(void *library) { return SUCCESS; }
int cuKernelGetFunction(void **function, void *kernel) { *function = &something; return SUCCESS; }
int cuKernelGetAttribute(int *value, int attribute, void *kernel, int device) { *value = 0; return SUCCESS; }
int cuKernelSetAttribute(int attribute, int value, void *kernel, int device) { return SUCCESS; }

#define REFUSED(name) int name(void) { return NO_DEVICE; }
REFUSED(cuInit) REFUSED(cuDeviceGet) REFUSED(cuDeviceGetCount) REFUSED(cuCtxGetCurrent) REFUSED(cuCtxGetLimit) REFUSED(cuCtxPopCurrent)
REFUSED(cuCtxPushCurrent) REFUSED(cuStreamGetCtx) REFUSED(cuLaunchKernel) REFUSED(cuLaunchKernelEx) REFUSED(cuLaunchCooperativeKernel)
REFUSED(cuLibraryLoadFromFile) REFUSED(cuLinkCreate) REFUSED(cuLinkAddData) REFUSED(cuLinkComplete) REFUSED(cuLinkDestroy)
REFUSED(cuTensorMapEncodeTiled) REFUSED(cuTensorMapEncodeIm2col) REFUSED(cuOccupancyMaxPotentialClusterSize)
