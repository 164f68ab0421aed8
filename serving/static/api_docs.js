// @ts-check
/* The API's reference: Swagger UI from its wheel, in the page's colours. */

const isDark = () =>
  getComputedStyle(document.documentElement).colorScheme === "dark" ||
  document.getElementById("theme").getAttribute("aria-pressed") === "true";
const dress = () => document.documentElement.classList.toggle("dark-mode", isDark());

addEventListener("themechange", dress);
dress();
window.SwaggerUIBundle({
  url: "/openapi/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1, // each answer shows its own
  validatorUrl: null, // no requests to other hosts
  layout: "BaseLayout",
});
