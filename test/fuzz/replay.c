/*
 * replay.c
 *		Runs a fuzz target over files, where there is no libFuzzer.
 *
 * Usage: <program> file ...
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * replay_file feeds one file to the target, and returns false where it cannot
 * be read.
 */
static bool
replay_file(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	uint8_t	   *data = NULL;
	size_t		size = 0;
	size_t		room = 0;
	bool		done = false;

	if (file == NULL)
		return false;
	while (!feof(file) && !ferror(file))
	{
		if (size == room)
		{
			uint8_t	   *more;

			room = room == 0 ? 65536 : 2 * room;
			more = realloc(data, room);
			if (more == NULL)
				break;
			data = more;
		}
		size += fread(data + size, 1, room - size, file);
	}
	if (feof(file) && !ferror(file))
	{
		LLVMFuzzerTestOneInput(data, size);
		done = true;
	}
	free(data);
	fclose(file);
	return done;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
	{
		/* the last line of output names the input that broke the target */
		fprintf(stderr, "%s\n", argv[i]);
		if (!replay_file(argv[i]))
		{
			perror(argv[i]);
			return 1;
		}
	}
	return 0;
}
