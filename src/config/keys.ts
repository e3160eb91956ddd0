/**
 * How a key of the language is declared: with its kind, its default and what it means, so that the reference of the language
 * can be made from it.
 */
import { z } from 'zod';
import type { Scalar } from './scalars.ts';

/** A key that must be written. */
export function needed<T>(scalar: Scalar<T>, description: string) {
  return scalar.describe(description);
}

/** @param fallback as it would be written */
export function standard<T>(scalar: Scalar<T>, fallback: string | number | boolean | null, description: string) {
  return scalar.prefault(fallback).describe(description);
}

export function maybe<T>(scalar: Scalar<T>, description: string) {
  return scalar.optional().describe(description);
}

export function group<S extends z.ZodRawShape>(shape: S, description: string) {
  return z.strictObject(shape).describe(description);
}

/** What an empty list means is for nobody to guess. */
export const emptyOrNull = 'it needs at least one entry; `null` asks for nothing';

/** A list that is inherited where it is left out, and that null takes away. */
export function listOrNull<T>(element: Scalar<T>, description: string) {
  return z.array(element).min(1, emptyOrNull).nullable().optional().describe(description);
}
