// What a form knows of its refusals, and how its values are read. A field's name is the JSON pointer of its value in the
// request, so that what the server says of a pointer is found beside the field without a table in between.
import { createContext, useContext } from 'react';
import type { FieldError } from '../api/problem';

/** What is wrong with the field of that name; nothing outside of a form that knows. */
export const FieldErrors = createContext<(name: string) => string | undefined>(() => undefined);

export const useFieldError = (name: string | undefined): string | undefined => {
  const errorOf = useContext(FieldErrors);
  return name === undefined ? undefined : errorOf(name);
};

/** The field that stands nearest to a pointer: `/roles` for `/roles/0`. */
export function fieldOf(form: HTMLFormElement, pointer: string): string | undefined {
  for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    if (form.elements.namedItem(at)) return at;
  }
  return undefined;
}

/** The element of that name that takes the focus. */
export function elementOf(form: HTMLFormElement, name: string): HTMLElement | undefined {
  const found = form.elements.namedItem(name);
  const element = found instanceof RadioNodeList ? ([...found].find((each) => (each as HTMLInputElement).checked) ?? [...found].find((each) => !(each as HTMLInputElement).disabled) ?? found[0]) : found;
  return element instanceof HTMLElement ? element : undefined;
}

/** How the page calls that field. */
export function labelOf(form: HTMLFormElement, name: string): string {
  const element = elementOf(form, name);
  const group = element?.closest('fieldset')?.querySelector('legend');
  const own = element instanceof HTMLInputElement || element instanceof HTMLSelectElement ? element.labels?.[0] : undefined;
  const many = element instanceof HTMLInputElement && ['checkbox', 'radio'].includes(element.type);
  return ((many && group) || own || group)?.textContent?.trim() || name;
}

/** `is reserved` → `Is reserved.` */
export function sentence(reason: string): string {
  const whole = reason.charAt(0).toUpperCase() + reason.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** Without the white space that nobody meant; empty when there is no such field. */
export const text = (form: FormData, name: string): string => {
  const value = form.get(name);
  return typeof value === 'string' ? value.trim() : '';
};

export const optional = (form: FormData, name: string): string | undefined => text(form, name) || undefined;

export const chosen = (form: FormData, name: string): string[] => form.getAll(name).filter((each) => typeof each === 'string');

/** A whole number; nothing when the field is empty. What is no number the server is to judge. */
export function number(form: FormData, name: string): number | undefined {
  const given = text(form, name);
  return given === '' ? undefined : Number(given);
}

/** A local date and time as the moment that it is. */
export function moment(form: FormData, name: string): string | undefined {
  const given = new Date(text(form, name));
  return Number.isNaN(given.getTime()) ? undefined : given.toISOString();
}

/** A moment as a field for date and time shows it, to the minute. */
export function localMinute(at: string | null | undefined): string {
  if (!at) return '';
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? '' : new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** A field for date and time as a PATCH has it: absent stays as it is, null is none. */
export function instant(minute: string | undefined): string | null | undefined {
  if (minute === undefined) return undefined;
  return minute === '' ? null : new Date(minute).toISOString();
}

/** A field for date and time in words. */
export const momentWord = (minute: string): string => (minute ? minute.replace('T', ', ') : 'open');

/** Those of the fields named that are empty, as the server would say it. */
export const missing = (form: FormData, fields: Record<string, string>): FieldError[] =>
  Object.entries(fields).flatMap(([pointer, reason]) => (form.getAll(pointer).some((value) => typeof value === 'string' && value.trim()) ? [] : [{ pointer, reason }]));
