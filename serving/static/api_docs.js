// @ts-check
/* The API's reference: Swagger UI as its wheel has it, in our colours. */

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
  validatorUrl: null, // nothing is asked elsewhere
  layout: "BaseLayout",
});
