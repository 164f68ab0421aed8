// What scripts of others put into the window: Leaflet and Swagger UI, as their wheels have them.
interface Window {
  L: any;
  SwaggerUIBundle: (options: object) => unknown;
}

// Forms and their fields by name, as the pages have them.
interface HTMLCollectionOf<T extends Element> {
  [name: string]: any;
}
interface HTMLFormControlsCollection {
  [name: string]: any;
}
