/* A stand-in for libnvidia-ml.so.1: one GPU whose power follows a curve, with a counter of energy that moves in steps,
 * and that can fail in every way the real one does. The file named by STANDIN_NVML holds lines "key value"; it is read
 * anew at every call, so that a test changes the board while it runs. Times are seconds after "origin" on the monotonic
 * clock. -DNO_COUNTER and -DNO_FIELDS leave functions out, as old drivers do. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, FUNCTION_NOT_FOUND = 13 };

static double setting(const char *key, double otherwise) {
    const char *path = getenv("STANDIN_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char name[64];
    double value, found = otherwise;
    while (file && fscanf(file, "%63s %lf", name, &value) == 2)
        if (!strcmp(name, key)) found = value;
    if (file) fclose(file);
    return found;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9 - setting("origin", 0);
}

static double power_at(double t) {
    return setting("watts", 100) + setting("ramp", 0) * t + setting("swing", 0) * sin(2 * M_PI * t / setting("period", 1));
}

static double joules_at(double t) {
    double period = setting("period", 1), swing = setting("swing", 0);
    return setting("watts", 100) * t + setting("ramp", 0) * t * t / 2 +
           swing * period / (2 * M_PI) * (1 - cos(2 * M_PI * t / period));
}

/* "lost_after": from then on every reading fails with the code "lost_code"; "fail_every" n: each n-th one does. */
static int failure(const char *function) {
    static int calls = 0;
    char key[64];
    snprintf(key, sizeof key, "%s_code", function);
    int every = (int)setting("fail_every", 0);
    if (every && ++calls % every == 0) return 999;
    if (now() > setting("lost_after", 1e18)) return (int)setting("lost_code", 15);
    return (int)setting(key, SUCCESS);
}

const char *nvmlErrorString(int code) {
    static char text[40];
    snprintf(text, sizeof text, "stand-in error %d", code);
    return text;
}

int nvmlInit_v2(void) { return (int)setting("init_code", SUCCESS); }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *text, unsigned length) { snprintf(text, length, "999.1"); return SUCCESS; }
int nvmlDeviceGetName(void *device, char *text, unsigned length) { (void)device; snprintf(text, length, "Stand-in"); return SUCCESS; }

/* "instance": the device is an instance of a board, which has its UUID with another prefix, and no MIG mode of its own. */
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = (void *)1;
    return strcmp(uuid, setting("instance", 0) ? "MIG-stand-in" : "GPU-stand-in") ? NOT_FOUND : SUCCESS;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
    (void)device;
    if (setting("instance", 0)) return INVALID;
    *current = *pending = (unsigned)setting("mig", 0);
    return setting("mig", -1) < 0 ? NOT_SUPPORTED : SUCCESS;
}

#ifndef NO_COUNTER
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    (void)device;
    double t = now(), step = setting("step", 0.1), reset = setting("reset_at", 1e18);
    if (t > setting("stuck_after", 1e18)) t = setting("stuck_after", 0);
    double joules = joules_at(floor(t / step) * step);
    if (t >= reset) joules -= joules_at(reset);
    *millijoules = (unsigned long long)(1e3 * (joules + (t < reset ? setting("before", 1e6) : 0)));
    return failure("energy");
}
#endif

static unsigned milliwatts(void) {
    double noise = setting("noise", 0.5) * (rand() / (double)RAND_MAX - 0.5);
    return (unsigned)(1e3 * (power_at(now()) * setting("power_factor", 1) + noise));
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *result) {
    (void)device;
    *result = milliwatts();
    return failure("power");
}

#ifndef NO_FIELDS
typedef struct {
    unsigned field, scope;
    long long timestamp, latency;
    unsigned type;
    int result;
    union { double d; unsigned ui; unsigned long long ull; } value;
} FieldValue;

int nvmlDeviceGetFieldValues(void *device, int count, FieldValue *values) {
    (void)device;
    for (int i = 0; i < count; i++) {
        values[i].result = values[i].field == 186 ? failure("field") : NOT_SUPPORTED;
        values[i].value.ui = milliwatts();
    }
    return SUCCESS;
}
#endif

int nvmlDeviceGetClockInfo(void *device, unsigned type, unsigned *mhz) {
    (void)device, (void)type;
    *mhz = (unsigned)setting("clock", 1410);
    return (int)setting("clock_code", SUCCESS);
}

int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *celsius) {
    (void)device, (void)sensor;
    *celsius = (unsigned)setting("temperature", 50);
    return (int)setting("temperature_code", SUCCESS);
}

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons) {
    (void)device;
    *reasons = (unsigned long long)setting("reasons", 0);
    return (int)setting("reasons_code", SUCCESS);
}

/* What drivers before 535 call it; nobody who may not read the one may read the other. */
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
    return nvmlDeviceGetCurrentClocksEventReasons(device, reasons);
}

typedef struct { unsigned pid; unsigned long long time; unsigned sm, memory, encoder, decoder; } Utilisation;

/* The process that measures is the parent of the one that reads; "others" is the share of another process. */
int nvmlDeviceGetProcessUtilization(void *device, Utilisation *samples, unsigned *count, unsigned long long since) {
    (void)device, (void)since;
    if (setting("users_code", SUCCESS)) return (int)setting("users_code", SUCCESS);
    unsigned number = setting("others", 0) > 0 ? 2 : 1;
    if (!samples || *count < number) { *count = number; return INSUFFICIENT_SIZE; }
    *count = number;
    memset(samples, 0, number * sizeof *samples);
    samples[0].pid = setting("hidden_pids", 0) ? 77 : (unsigned)getppid();
    samples[0].sm = 90;
    if (number > 1) { samples[1].pid = 78; samples[1].sm = (unsigned)setting("others", 0); }
    return SUCCESS;
}
