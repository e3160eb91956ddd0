/**
 * `npm run docs`: writes the pages that follow from the code, docs/verdicts.md and docs/configuration.md. A test fails when they lag behind.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { configurationPage, verdictsPage } from './doc-pages.ts';

const docs = fileURLToPath(new URL('../docs/', import.meta.url));
writeFileSync(`${docs}verdicts.md`, verdictsPage());
writeFileSync(`${docs}configuration.md`, configurationPage());
