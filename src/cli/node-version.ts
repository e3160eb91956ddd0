/**
 * Whether this Node is new enough. Loaded before anything else and by any Node, so it imports nothing and uses nothing new.
 */

/** Major and minor: what the platform features that the product relies on came with. */
const oldest = [26, 9] as const;

/** @param version as in `process.versions.node`. @returns lines for standard error; empty when it is new enough */
export function nodeComplaint(version: string): readonly string[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return [];
  return [
    `error: dsmapper needs Node ${oldest.join('.')} or later, this is ${version}`,
    'hint: run it through npm in its own folder (npm start, npx dsmapper), which brings a Node of its own',
  ];
}
