"use strict";

const ui = SwaggerUIBundle({
  url: "{{ schema_url|escapejs }}",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  filter: false,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  requestInterceptor: (request) => {
    const authorization = request.headers.Authorization;
    if (authorization) {
      // A person pastes the token as it was given to them, without the scheme's name.
      const bare = authorization.trim().replace(/^token\s+/i, "");
      request.headers.Authorization = `Token ${bare}`;
    } else if (!["GET", undefined].includes(request.method) && request.credentials === "same-origin") {
      // A call by session.
      request.headers["{{ csrf_header_name }}"] = "{{ csrf_token }}";
    }
    return request;
  },
});
