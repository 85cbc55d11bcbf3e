"use strict";
(function () {
  // What is folded on the screen is open on paper, except long lists that say otherwise.
  const folded = function () { return document.querySelectorAll("details:not([open]):not([data-screen])"); };
  let opened = [];
  window.addEventListener("beforeprint", function () {
    opened = Array.from(folded());
    opened.forEach(function (each) { each.open = true; });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (each) { each.open = false; });
  });
})();
