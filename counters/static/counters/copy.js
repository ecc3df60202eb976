"use strict";

// Copies what a page shows once. Without a clipboard the button stays hidden.
for (const button of document.querySelectorAll("[data-copies]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copies).textContent;
    await navigator.clipboard.writeText(text);
    document.querySelector("[data-copied]").textContent = "Copied.";
  });
}
