/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzzer's entry once for each file given, or standing in a folder given. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *buf;
	uint8_t *exact;
	size_t n;

	if (!file) {
		perror(path);
		return -1;
	}
	buf = malloc(INPUT_MAX);
	n = buf ? fread(buf, 1, INPUT_MAX, file) : 0;
	fclose(file);
	/* An allocation of the input's own size lets a sanitizer see a read past its end. */
	exact = malloc(n ? n : 1);
	if (!buf || !exact)
		abort();
	memcpy(exact, buf, n);
	free(buf);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

static int replay_folder(const char *path)
{
	struct dirent **names;
	int count = 0;
	int n = scandir(path, &names, NULL, alphasort);

	if (n < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && count >= 0)
			count = replay_file(file) < 0 ? -1 : count + 1;
		free(names[i]);
	}
	free(names);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		int n = -1;

		if (stat(argv[i], &st) == 0)
			n = S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
		if (n < 0)
			return EXIT_FAILURE;
		total += n;
	}
	printf("%d inputs\n", total);
	/* A corpus that has gone missing must not pass. */
	return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
