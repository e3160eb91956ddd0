/**
 * Listeners where other proxies ask, in the configuration language.
 */
import { z } from 'zod';
import { group, needed } from './keys.ts';
import { text, type Scalar } from './scalars.ts';

const word: Scalar<string> = text('a name', (raw) => ({ value: raw }));

const authEndpoint = group({ name: needed(word, 'for logs and messages') }, 'a listener where other proxies ask');

export const authEndpoints = z.array(authEndpoint).describe('listeners where other proxies ask');
