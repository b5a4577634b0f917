___TERMS_OF_SERVICE___

By creating or modifying this file you agree to Google Tag Manager's Community
Template Gallery Developer Terms of Service available at
https://developers.google.com/tag-manager/gallery-tos (or such other URL as
Google may provide), as modified from time to time.


___INFO___

{
  "type": "TAG",
  "id": "cvt_temp_public_id",
  "version": 1,
  "securityGroups": [],
  "displayName": "Firmsight",
  "categories": [
    "ANALYTICS",
    "LEAD_GENERATION"
  ],
  "brand": {
    "id": "brand_dummy",
    "displayName": ""
  },
  "description": "Which companies visit your website: loads the tracker from your own Firmsight collector and tells it what Consent Mode says.",
  "containerContexts": [
    "WEB"
  ]
}


___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "script",
    "displayName": "Address of the tracker",
    "simpleValueType": true,
    "help": "On your own collector, such as https://stats.example.com/lfa.js",
    "valueHint": "https://stats.example.com/lfa.js",
    "valueValidators": [
      {
        "type": "REGEX",
        "args": [
          "^https://.+"
        ],
        "errorMessage": "An address that begins with https://"
      }
    ]
  },
  {
    "type": "TEXT",
    "name": "site",
    "displayName": "Site",
    "simpleValueType": true,
    "help": "The id given to firmsight site add --id",
    "valueValidators": [
      {
        "type": "REGEX",
        "args": [
          "^[A-Za-z0-9_-]{1,64}$"
        ],
        "errorMessage": "1 to 64 characters of A-Z a-z 0-9 _ -"
      }
    ]
  },
  {
    "type": "SELECT",
    "name": "consentSource",
    "displayName": "Consent",
    "macrosInSelect": false,
    "simpleValueType": true,
    "defaultValue": "tracker",
    "selectItems": [
      {
        "value": "tracker",
        "displayValue": "The tracker asks the consent manager on the page"
      },
      {
        "value": "gtm",
        "displayValue": "Consent Mode, through Tag Manager"
      }
    ],
    "help": "Choose Consent Mode only where its default is set to denied before this tag fires: Tag Manager calls a type granted that nobody has set."
  },
  {
    "type": "SELECT",
    "name": "consentType",
    "displayName": "Consent type that counts",
    "macrosInSelect": false,
    "simpleValueType": true,
    "defaultValue": "analytics_storage",
    "selectItems": [
      {
        "value": "analytics_storage",
        "displayValue": "analytics_storage"
      },
      {
        "value": "ad_storage",
        "displayValue": "ad_storage"
      },
      {
        "value": "ad_user_data",
        "displayValue": "ad_user_data"
      },
      {
        "value": "ad_personalization",
        "displayValue": "ad_personalization"
      },
      {
        "value": "functionality_storage",
        "displayValue": "functionality_storage"
      },
      {
        "value": "personalization_storage",
        "displayValue": "personalization_storage"
      },
      {
        "value": "security_storage",
        "displayValue": "security_storage"
      }
    ],
    "enablingConditions": [
      {
        "paramName": "consentSource",
        "paramValue": "gtm",
        "type": "EQUALS"
      }
    ]
  },
  {
    "type": "GROUP",
    "name": "more",
    "displayName": "More",
    "groupStyle": "ZIPPY_CLOSED",
    "subParams": [
      {
        "type": "TEXT",
        "name": "consentPurpose",
        "displayName": "Purpose, category or service of the consent manager that counts",
        "simpleValueType": true
      },
      {
        "type": "CHECKBOX",
        "name": "consentRemember",
        "checkboxText": "Look up the choice that an earlier page stored",
        "simpleValueType": true
      },
      {
        "type": "TEXT",
        "name": "endpoint",
        "displayName": "Where beacons go, if not where the collector says",
        "simpleValueType": true
      },
      {
        "type": "CHECKBOX",
        "name": "debug",
        "checkboxText": "Explain in the console why something was or was not sent",
        "simpleValueType": true
      }
    ]
  }
]


___SANDBOXED_JS_FOR_WEB_TEMPLATE___

const addConsentListener = require('addConsentListener');
const callInWindow = require('callInWindow');
const createArgumentsQueue = require('createArgumentsQueue');
const encodeUriComponent = require('encodeUriComponent');
const injectScript = require('injectScript');
const isConsentGranted = require('isConsentGranted');
const logToConsole = require('logToConsole');

// Calls wait in lfa.q until the tracker has arrived, which then takes window.lfa over: hence callInWindow each time.
createArgumentsQueue('lfa', 'lfa.q');

const options = { site: data.site };
if (data.consentPurpose) options.consentPurpose = data.consentPurpose;
if (data.consentRemember) options.consentRemember = true;
if (data.endpoint) options.endpoint = data.endpoint;
callInWindow('lfa', 'init', options);

if (data.consentSource === 'gtm') {
  const say = (granted) => callInWindow('lfa', 'consent', granted ? 'granted' : 'denied', 'manager');
  // Denied may be no more than the default before anybody chose; a change is a choice.
  if (isConsentGranted(data.consentType)) say(true);
  addConsentListener(data.consentType, (type, granted) => say(granted));
}

// Attributes can't be set on an injected script; the site stands in the address too, so that the collector needs to
// send the settings of this site alone.
const separator = data.script.indexOf('?') < 0 ? '?' : '&';
const address = data.script + separator + 'site=' + encodeUriComponent(data.site) + (data.debug ? '&debug' : '');
injectScript(address, data.gtmOnSuccess, () => {
  logToConsole('Firmsight: the tracker could not be loaded from ' + address);
  data.gtmOnFailure();
}, 'firmsight');


___WEB_PERMISSIONS___

[
  {
    "instance": {
      "key": {
        "publicId": "logging",
        "versionId": "1"
      },
      "param": [
        {
          "key": "environments",
          "value": {
            "type": 1,
            "string": "debug"
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "access_globals",
        "versionId": "1"
      },
      "param": [
        {
          "key": "keys",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "key"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  },
                  {
                    "type": 1,
                    "string": "execute"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "lfa"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": true
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "key"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  },
                  {
                    "type": 1,
                    "string": "execute"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "lfa.q"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "inject_script",
        "versionId": "1"
      },
      "param": [
        {
          "key": "urls",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 1,
                "string": "https://*/*"
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  },
  {
    "instance": {
      "key": {
        "publicId": "access_consent",
        "versionId": "1"
      },
      "param": [
        {
          "key": "consentTypes",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "analytics_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_user_data"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "ad_personalization"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "functionality_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "personalization_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              },
              {
                "type": 3,
                "mapKey": [
                  {
                    "type": 1,
                    "string": "consentType"
                  },
                  {
                    "type": 1,
                    "string": "read"
                  },
                  {
                    "type": 1,
                    "string": "write"
                  }
                ],
                "mapValue": [
                  {
                    "type": 1,
                    "string": "security_storage"
                  },
                  {
                    "type": 8,
                    "boolean": true
                  },
                  {
                    "type": 8,
                    "boolean": false
                  }
                ]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {
      "isEditedByUser": true
    },
    "isRequired": true
  }
]


___TESTS___

scenarios:
- name: The site stands in the address and in the options
  code: |-
    runCode({script: 'https://stats.example.com/lfa.js', site: 'shop', consentSource: 'tracker'});
    assertApi('callInWindow').wasCalledWith('lfa', 'init', {site: 'shop'});
    assertThat(injected).isEqualTo('https://stats.example.com/lfa.js?site=shop');
    assertApi('isConsentGranted').wasNotCalled();
    assertApi('addConsentListener').wasNotCalled();
    assertApi('gtmOnSuccess').wasCalled();
- name: Debug mode is asked for in the address
  code: |-
    runCode({script: 'https://stats.example.com/lfa.js', site: 'shop', consentSource: 'tracker', debug: true});
    assertThat(injected).isEqualTo('https://stats.example.com/lfa.js?site=shop&debug');
- name: A query in the address is kept
  code: |-
    runCode({script: 'https://stats.example.com/lfa.js?v=2', site: 'shop', consentSource: 'tracker'});
    assertThat(injected).isEqualTo('https://stats.example.com/lfa.js?v=2&site=shop');
- name: Consent that was given already is told at once
  code: |-
    granted = true;
    runCode({script: 'https://stats.example.com/lfa.js', site: 'shop', consentSource: 'gtm', consentType: 'analytics_storage'});
    assertApi('callInWindow').wasCalledWith('lfa', 'consent', 'granted', 'manager');
- name: A denied default is no choice, changes are
  code: |-
    runCode({script: 'https://stats.example.com/lfa.js', site: 'shop', consentSource: 'gtm', consentType: 'ad_storage'});
    assertApi('callInWindow').wasNotCalledWith('lfa', 'consent', 'denied', 'manager');
    listener('ad_storage', true);
    assertApi('callInWindow').wasCalledWith('lfa', 'consent', 'granted', 'manager');
    listener('ad_storage', false);
    assertApi('callInWindow').wasCalledWith('lfa', 'consent', 'denied', 'manager');
- name: A tracker that can't be loaded fails the tag
  code: |-
    mock('injectScript', (url, onSuccess, onFailure) => onFailure());
    runCode({script: 'https://stats.example.com/lfa.js', site: 'shop', consentSource: 'tracker'});
    assertApi('gtmOnFailure').wasCalled();
    assertApi('gtmOnSuccess').wasNotCalled();
setup: |-
  let injected, listener, granted = false;
  mock('createArgumentsQueue', () => () => {});
  mock('callInWindow', () => {});
  mock('isConsentGranted', () => granted);
  mock('addConsentListener', (type, callback) => { listener = callback; });
  mock('injectScript', (url, onSuccess) => { injected = url; onSuccess(); });


___NOTES___

Part of Firmsight, MIT or Apache-2.0. Documentation: docs/tracker.md.
