/**
 * From `authEndpoints` to what the gateway listens with.
 */
import type { AuthEndpointSettings } from '../gateway/auth-endpoint-settings.ts';
import type { Reading } from './reading.ts';
import type { Language } from './schema.ts';

export async function readAuthEndpoints(
  written: Language['authEndpoints'],
  _reading: Reading,
): Promise<readonly AuthEndpointSettings[]> {
  return written;
}
