/* settings FOLDER…: what every file in and under these folders of /proc/sys says, a line `path:text` each, with the further
 * lines of a text of several as they are. Of one that cannot be read, or that is empty, nothing.
 *
 * grep(1) would do. For a read of n bytes the kernel clears n bytes, however few there are, and grep's are 96 KiB: of
 * fifteen hundred files that is most of the time that looking at a namespace takes. */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[4096], text[4000];

static void tell(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	int is_first = 1, ends_line = 1;
	for (ssize_t got; (got = read(fd, text, sizeof text)) > 0; is_first = 0) {
		if (is_first)
			printf("%s:", path);
		fwrite(text, 1, (size_t)got, stdout);
		ends_line = text[got - 1] == '\n';
		/* There is no more: a setting is told in one piece, where it fits. */
		if (got < (ssize_t)sizeof text)
			break;
	}
	if (!ends_line)
		putchar('\n');
	close(fd);
}

/* `length` of what stands in `path` is the name of `folder`, which is closed. */
static void walk(int folder, size_t length)
{
	DIR *entries = fdopendir(folder);
	if (entries == NULL)
		err(1, "%s", path);
	for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
		size_t more = strlen(entry->d_name);
		if (entry->d_name[0] == '.' && strspn(entry->d_name, ".") == more)
			continue;
		if (length + more + 2 > sizeof path)
			errx(1, "%s/%s: the path is too long", path, entry->d_name);
		path[length] = '/';
		memcpy(path + length + 1, entry->d_name, more + 1);
		if (entry->d_type != DT_DIR) {
			tell(folder, entry->d_name);
			continue;
		}
		/* A link's are gone with the link. */
		int inner = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (inner >= 0)
			walk(inner, length + 1 + more);
	}
	path[length] = '\0';
	closedir(entries);
}

int main(int count, char **folders)
{
	for (int at = 1; at < count; at++) {
		size_t length = strlen(folders[at]);
		if (length + 1 > sizeof path)
			errx(1, "%s: the path is too long", folders[at]);
		memcpy(path, folders[at], length + 1);
		int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* A kernel has not all of them. */
		if (folder >= 0)
			walk(folder, length);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
