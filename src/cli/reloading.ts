/**
 * SIGHUP: the configuration is read again and taken up, or refused as a whole with the reasons, and then the old one serves on.
 */
import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../base/failure.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { Settings } from '../gateway/settings.ts';
import { loadFile } from './configuration.ts';
import { terminal } from './terminal.ts';

/** @returns what ends it */
export function reloadOnSignal(config: string, gateway: Gateway): () => void {
  const onSignal = () => void reload(config, gateway);
  process.on('SIGHUP', onSignal);
  return () => void process.removeListener('SIGHUP', onSignal);
}

async function reload(config: string, gateway: Gateway): Promise<void> {
  try {
    const before = gateway.setup.settings;
    const settings = await loadFile(config);
    for (const warning of settings.warnings) terminal.warn(warning);
    for (const what of onlyAtTheStart(before, settings)) terminal.warn(`${what} has changed: that needs a restart`);
    await gateway.reload(settings);
    terminal.note(`${settings.source} has been taken up; it is generation ${gateway.setup.generation}`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    terminal.warn('the configuration was not taken up, the old one serves on');
    terminal.error(error);
  }
}

function onlyAtTheStart(before: Settings, after: Settings): readonly string[] {
  const parts: readonly [string, unknown, unknown][] = [
    ['limits (connections)', before.limits.connections, after.limits.connections],
    ['limits.recheck', before.limits.recheck, after.limits.recheck],
    ['log', before.log, after.log],
    ['admin', before.admin, after.admin],
    ['authEndpoints (listeners)', listeners(before), listeners(after)],
  ];
  return parts.flatMap(([what, former, next]) => (isDeepStrictEqual(former, next) ? [] : [what]));
}

/** Everything of auth endpoints but their callers, who are taken up. */
function listeners({ authEndpoints }: Settings): readonly unknown[] {
  return authEndpoints.map((endpoint) => ({ ...endpoint, callers: [] }));
}
