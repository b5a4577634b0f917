<?php
/**
 * Plugin Name: Firmsight
 * Description: Which companies visit your website: loads the tracker from your own Firmsight collector. Asks the WP Consent API, category "statistics".
 * Version: 0.1.0
 * Requires at least: 6.4
 * Requires PHP: 7.4
 * License: MIT OR Apache-2.0
 *
 * Set in wp-config.php:
 *   define( 'FIRMSIGHT_SCRIPT', 'https://stats.example.com/lfa.js' );
 *   define( 'FIRMSIGHT_SITE', 'SITE' );
 */

defined( 'ABSPATH' ) || exit;

// Says to the WP Consent API that this plugin obeys it; the tracker itself asks wp_has_consent() and hears of changes.
add_filter( 'wp_consent_api_registered_' . plugin_basename( __FILE__ ), '__return_true' );

add_action(
	'plugins_loaded',
	function () {
		if ( function_exists( 'wp_add_cookie_info' ) ) {
			wp_add_cookie_info( '_lfa', 'Firmsight', 'statistics', '400 days', 'Recognises this browser on its next visit.' );
			wp_add_cookie_info( '_lfa_consent', 'Firmsight', 'functional', '400 days', 'Remembers the choice.' );
		}
	}
);

add_action(
	'wp_enqueue_scripts',
	function () {
		if ( ! defined( 'FIRMSIGHT_SCRIPT' ) || ! defined( 'FIRMSIGHT_SITE' ) ) {
			return;
		}
		wp_enqueue_script( 'firmsight', FIRMSIGHT_SCRIPT, array(), null, array( 'strategy' => 'async' ) );
	}
);

// Rocket Loader and Cookiebot would hold the script back; it waits for consent by itself.
add_filter(
	'wp_script_attributes',
	function ( $attributes ) {
		if ( isset( $attributes['id'] ) && 'firmsight-js' === $attributes['id'] ) {
			$attributes['data-site']          = FIRMSIGHT_SITE;
			$attributes['data-cfasync']       = 'false';
			$attributes['data-cookieconsent'] = 'ignore';
		}
		return $attributes;
	}
);
