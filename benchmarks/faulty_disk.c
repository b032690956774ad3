/* A disk that fails when told to: preloaded into a process, it lets one call that changes a file, or all from that one
 * on, fail with an error of choice. Only files below one directory are meant.
 *
 * cc -shared -fPIC -O1 -o libfaultydisk.so faulty_disk.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static int fail_at, fail_with, fail_on, calls;

/* Count calls from now on; let number `at` (from 1; 0 for none) fail with `error`, and if `forever` all later ones. */
void faulty_disk_arm(const char *directory, int at, int error, int forever)
{
    snprintf(root, sizeof root, "%s", directory);
    fail_at = at;
    fail_with = error;
    fail_on = forever;
    calls = 0;
}

/* Return how many calls there were, and count no further ones. */
int faulty_disk_disarm(void)
{
    root[0] = 0;
    return calls;
}

static int fails(const char *path)
{
    if (!root[0] || strncmp(path, root, strlen(root)))
        return 0;
    calls++;
    if (calls != fail_at && !(fail_on && fail_at && calls > fail_at))
        return 0;
    errno = fail_with;
    return 1;
}

static int file_fails(int descriptor)
{
    char link[64], path[PATH_MAX];
    if (!root[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(path);
}

static int name_fails(const char *name)
{
    char path[PATH_MAX];
    if (!root[0])
        return 0;
    if (name[0] == '/')
        return fails(name);
    if (!getcwd(path, sizeof path / 2))
        return 0;
    strcat(path, "/");
    strncat(path, name, sizeof path / 2 - 2);
    return fails(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size)
{
    return file_fails(fd) ? -1 : REAL(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int number)
{
    return file_fails(fd) ? -1 : REAL(writev)(fd, parts, number);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return file_fails(fd) ? -1 : REAL(pwrite)(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    return file_fails(fd) ? -1 : REAL(pwrite64)(fd, data, size, offset);
}

int fsync(int fd)
{
    return file_fails(fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return file_fails(fd) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t length)
{
    return file_fails(fd) ? -1 : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    return file_fails(fd) ? -1 : REAL(ftruncate64)(fd, length);
}

int rename(const char *from, const char *to)
{
    return name_fails(to) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    return name_fails(path) ? -1 : REAL(unlink)(path);
}
