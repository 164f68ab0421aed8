// @ts-check
/* The page's state is in its address: a link shows what its sender saw. */

const FORMS = ["filters", "range"];

/* All fields of the page's forms, from the address. */
export function state() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/* Changes parts of the address; empty values are removed. */
export function keep(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === undefined) query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

const fields = (form) => [...form.elements].filter((field) => field.name);

/* Fills the forms from the address. */
export function fill() {
  const kept = state();
  for (const form of FORMS.map((id) => document.forms[id])) {
    for (const field of fields(form)) {
      const wanted = kept[field.name] ?? "";
      if (field instanceof HTMLSelectElement && wanted && ![...field.options].some((option) => option.value === wanted))
        continue;
      field.value = wanted;
    }
  }
}

/* Calls `changed` when the form differs from the address. */
export function bind(id, changed) {
  const form = document.forms[id];
  const take = () => {
    keep(Object.fromEntries(fields(form).map((field) => [field.name, field.value.trim()])));
    changed();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take();
  });
  form.addEventListener("change", () => form.checkValidity() && take());
  form.addEventListener("reset", () =>
    setTimeout(() => {
      for (const field of fields(form)) field.value = "";
      take();
    }),
  );
}
