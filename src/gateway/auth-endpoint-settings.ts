/**
 * Listeners where other proxies ask who a client is and whether it may pass.
 */

export interface AuthEndpointSettings {
  readonly name: string;
}
