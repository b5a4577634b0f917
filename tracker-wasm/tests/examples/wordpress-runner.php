<?php
// Runs the plugin as WordPress would, and prints what it puts into a page: the functions below are WordPress's own, as far as
// their documentation says what a plugin notices. Arguments: the plugin, the script's address, the site.
define( 'ABSPATH', __DIR__ );
define( 'FIRMSIGHT_SCRIPT', $argv[2] );
define( 'FIRMSIGHT_SITE', $argv[3] );

$hooks   = array();
$scripts = array();
$cookies = array();

function add_filter( $name, $callback ) {
	$GLOBALS['hooks'][ $name ][] = $callback;
}
function add_action( $name, $callback ) {
	add_filter( $name, $callback );
}
function apply_filters( $name, $value = null ) {
	foreach ( $GLOBALS['hooks'][ $name ] ?? array() as $callback ) {
		$value = $callback( $value );
	}
	return $value;
}
function plugin_basename( $file ) {
	return basename( $file );
}
function __return_true() {
	return true;
}
function wp_add_cookie_info( ...$info ) {
	$GLOBALS['cookies'][] = $info;
}
function wp_enqueue_script( $handle, $src, $deps, $version, $args ) {
	$GLOBALS['scripts'][ $handle ] = array( 'src' => $src ) + ( 'async' === $args['strategy'] ? array( 'async' => true ) : array() );
}
function esc_attr( $text ) {
	return htmlspecialchars( $text, ENT_QUOTES );
}

require $argv[1];

apply_filters( 'plugins_loaded' );
apply_filters( 'wp_enqueue_scripts' );
$tags = '';
foreach ( $scripts as $handle => $attributes ) {
	// As wp_get_script_tag() does.
	$attributes = apply_filters( 'wp_script_attributes', $attributes + array( 'id' => "$handle-js" ) );
	$text       = '';
	foreach ( $attributes as $name => $value ) {
		$text .= true === $value ? " $name" : sprintf( ' %s="%s"', $name, esc_attr( $value ) );
	}
	$tags .= "<script$text></script>";
}
echo json_encode(
	array(
		'tags'    => $tags,
		'cookies' => array_column( $cookies, 0 ),
		'obeys'   => apply_filters( 'wp_consent_api_registered_firmsight.php', false ),
	)
);
