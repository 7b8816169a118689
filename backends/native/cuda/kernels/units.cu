// Memory that is moved as it is, 1 to 16 bytes at once.
struct alignas(16) sixteen_bytes { unsigned long long halves[2]; };
