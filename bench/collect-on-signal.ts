/** Loaded before the program that is measured (with `--expose-gc`): SIGUSR2 makes it collect its garbage, so that what is left is what is held. */
process.on('SIGUSR2', () => globalThis.gc?.());
