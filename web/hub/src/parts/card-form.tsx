import type { ComponentChildren } from 'preact';

/** A form that a script sends; `look` is how it stands on the page. */
export const CardForm = ({
  look = 'card narrow',
  submit,
  children,
}: {
  readonly look?: string;
  readonly submit: (form: HTMLFormElement) => Promise<unknown>;
  readonly children: ComponentChildren;
}) => (
  <form
    class={look}
    onSubmit={(event) => {
      event.preventDefault();
      void submit(event.currentTarget);
    }}
  >
    {children}
  </form>
);
