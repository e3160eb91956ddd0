/**
 * `dsmapper serve`: configuration to running gateway, until a signal ends it.
 */
import { once } from 'node:events';
import type { AdminSurface } from '../admin/surface.ts';
import { startAdmin } from '../admin/surface.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { startGateway } from '../gateway/gateway.ts';
import type { Settings } from '../gateway/settings.ts';
import { loadFile } from './configuration.ts';
import { reloadOnSignal } from './reloading.ts';
import type { ExitCode } from './program.ts';
import { terminal } from './terminal.ts';

export interface ServeOptions {
  readonly config: string;
  readonly json?: boolean;
}

export interface Running {
  readonly gateway: Gateway;
  readonly admin: AdminSurface;
  /** Drains and closes everything. */
  stop(): Promise<void>;
}

export async function serve(options: ServeOptions): Promise<ExitCode> {
  const settings = await loadFile(options.config);
  for (const warning of settings.warnings) terminal.warn(warning);
  const ended = stopSignal();
  const running = await start(settings);
  if (options.json === true) terminal.json({ event: 'ready', addresses: running.gateway.addresses() });
  else announce(running, settings);
  const stopReloading = reloadOnSignal(options.config, running.gateway);
  await ended;
  stopReloading();
  await running.stop();
  return 0;
}

/** @throws Failure; nothing stays open then */
export async function start(settings: Settings): Promise<Running> {
  const gateway = await startGateway(settings);
  try {
    const admin = await startAdmin(settings.admin, gateway);
    return {
      gateway,
      admin,
      async stop() {
        await gateway.close();
        await admin.close();
      },
    };
  } catch (error) {
    await gateway.close();
    throw error;
  }
}

/** The first SIGINT or SIGTERM; a second one while draining ends the process at once. */
export async function stopSignal(): Promise<void> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
}

function announce({ gateway, admin }: Running, settings: Settings): void {
  for (const { binding, address, port } of gateway.addresses())
    terminal.note(`binding ${binding} listens on ${address}:${port}`);
  for (const { endpoint, address } of gateway.auth.addresses())
    terminal.note(`auth endpoint ${endpoint} listens on ${address}`);
  if (admin.address !== null) terminal.note(`health and metrics on http://${admin.address}`);
  if (settings.admin.socket !== null) terminal.note(`admin socket ${settings.admin.socket}`);
  if (settings.labOnly)
    terminal.warn('labOnly is set: this configuration may weaken decisions and is not for production');
}
