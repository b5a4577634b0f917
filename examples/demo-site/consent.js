// The consent banner tells the tracker what the person chose, at each load and at each change.
// Klaro calls `callback` with the state on every page, so the tracker need not remember it by itself.
window.lfa = window.lfa || function () { (lfa.q = lfa.q || []).push(arguments); };
window.klaroConfig = {
  acceptAll: true,
  mustConsent: false,
  services: [
    {
      name: 'firmsight',
      title: 'Company statistics',
      description: 'Tells us which companies visit this shop. Runs on our own server.',
      purposes: ['statistics'],
      cookies: [/^_lfa/],
      callback: function (consent, service) {
        if (klaro.getManager().confirmed) lfa('consent', consent ? 'granted' : 'denied');
      },
    },
  ],
  translations: { en: { purposes: { statistics: 'Statistics' } } },
  lang: 'en',
};
