import type { ComponentChildren, InputHTMLAttributes, SelectHTMLAttributes } from 'preact';
import { useId } from 'preact/hooks';

/** A labelled input; what it is for, and a hint that is read with it. */
export function Field({
  label,
  hint,
  ...input
}: { readonly label: string; readonly hint?: string } & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <>
      <label for={id}>{label}</label>
      <input id={id} {...input} {...(hint === undefined ? {} : { 'aria-describedby': `${id}-hint` })} />
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </>
  );
}

/** A labelled choice of one. */
export function Choice({
  label,
  children,
  ...select
}: {
  readonly label: string;
  readonly children: ComponentChildren;
} & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId();
  return (
    <>
      <label for={id}>{label}</label>
      <select id={id} {...select}>
        {children}
      </select>
    </>
  );
}
