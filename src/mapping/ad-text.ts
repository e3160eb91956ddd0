/**
 * When two texts are the same to us. A domain controller compares looser (diacritics, width and kana are folded,
 * MS-ADTS 3.1.1.2.2.4.13), so whatever it returns is compared again with this: letters A to Z without case,
 * everything else to the code unit.
 */

/** Texts are the same exactly when their folded forms are identical. `toLowerCase` would also fold the Kelvin sign. */
export function foldText(text: string): string {
  return /[A-Z]/.test(text) ? text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}

export function sameText(a: string, b: string): boolean {
  return a === b || (a.length === b.length && foldText(a) === foldText(b));
}
